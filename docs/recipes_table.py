"""The table of recipes in docs/recipes.md, from the files of models/: ``python docs/recipes_table.py`` prints it."""

from pathlib import Path

from robustbench_pix.catalogue import recipe_slots
from robustbench_pix.catalogue.workspace import Workspace


def table() -> str:
    """Return one row a shipped recipe in Markdown: what it does, what it controls, its slots, its source."""
    workspace = Workspace(Path(__file__).parent)
    lines = ["| recipe | what it does | control of | slots | source |", "|---|---|---|---|---|"]
    for name in workspace.names("models"):
        spec = workspace.recipe(name)
        slots = ", ".join(recipe_slots.SHIPPED[spec.regularizer].slots) if spec.regularizer else ""
        control = f"`{spec.controls}`" if spec.controls else ""
        lines.append(f"| `{name}` | {spec.summary} | {control} | {slots} | {spec.reference} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
