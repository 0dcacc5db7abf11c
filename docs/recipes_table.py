"""The tables of recipes in docs/recipes.md and README.md, from models/: ``python docs/recipes_table.py`` shows them."""

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


def short_table() -> str:
    """Return the recipes in Markdown: one row for each that has controls, and one for all others."""
    workspace = Workspace(Path(__file__).parent)
    specs = [workspace.recipe(name) for name in workspace.names("models")]
    controls = dict[str, list[str]]()
    for spec in specs:
        if spec.controls:
            controls.setdefault(spec.controls, []).append(f"`{spec.name}`")
    others = [f"`{spec.name}`" for spec in specs if not spec.controls and spec.name not in controls]
    lines = ["| recipe | its controls |", "|---|---|"]
    lines += [f"| `{name}` | {', '.join(names)} |" for name, names in sorted(controls.items())]
    return "\n".join([*lines, f"| {', '.join(others)} | |"]) + "\n"


if __name__ == "__main__":
    print(short_table(), table(), sep="\n", end="")
