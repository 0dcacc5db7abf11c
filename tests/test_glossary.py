"""docs/glossary.md defines every term, and no surface in ``CHECKED`` uses a word that it retires."""

import ast
import re
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import click
import pytest

from robustbench_pix.cli import main
from robustbench_pix.results import columns, derived_columns

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
GLOSSARY = (DOCS / "glossary.md").read_text()
ENTRIES, _, RETIRED_TABLE = GLOSSARY.partition("## Retired words\n")
WORDS = tomllib.loads((DOCS / "retired_words.toml").read_text())["word"]
HISTORY = {"changes-of-meaning.md"}
"""Pages that may use the words of their time."""

Texts = Iterator[tuple[str, str]]
"""Where a text stands, and the text."""


def readme() -> Texts:
    for path in sorted(ROOT.glob("*.md")):
        if path.name != "CHANGELOG.md":
            yield path.name, path.read_text()
    for folder in ("models", "attacks", "examples", ".github"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".md", ".yml", ".py"):
                yield path.relative_to(ROOT).as_posix(), path.read_text()


def docs() -> Texts:
    yield "docs/glossary.md", ENTRIES
    for path in sorted(DOCS.rglob("*.md")):
        if path.name not in HISTORY | {"glossary.md"}:
            yield path.relative_to(ROOT).as_posix(), path.read_text()


def help_texts() -> Texts:
    for name, command in main.commands.items():
        yield f"rbp {name}", command.help or ""
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                yield f"rbp {name} {parameter.opts[0]}", f"{parameter.help or ''} {parameter.show_default or ''}"


def column_texts() -> Texts:
    for table, declared in {**vars(columns), **vars(derived_columns)}.items():
        if isinstance(declared, tuple) and declared and all(isinstance(column, columns.Column) for column in declared):
            for column in declared:
                yield f"{table}: {column.name}", f"{column.name.replace('_', ' ')}: {column.meaning}"


def error_texts() -> Texts:
    """The literal texts in statements that raise."""
    for path, tree in _modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise):
                yield f"{path}:{node.lineno}", " ".join(_literals(node))


def docstrings(folder: str) -> Texts:
    """The docstrings of a folder of the package, those of constants too, without the names of arguments."""
    for path, tree in _modules():
        if Path(path).relative_to("robustbench_pix").parts[:-1][:1] == ((folder,) if folder else ()):
            for node in ast.walk(tree):
                if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                    yield f"{path}:{node.lineno}", re.sub(r"^ +[a-z_, ]+: ", "", str(node.value.value), flags=re.M)


def page() -> Texts:
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            self.silent = tag in ("script", "style")
            found.extend(value or "" for name, value in attrs if name in ("title", "aria-label", "alt"))

        def handle_data(self, data):
            if not self.silent:
                found.append(data)

    reader = Reader()
    reader.silent = False
    reader.feed((ROOT / "leaderboard/index.html").read_text())
    yield "leaderboard/index.html", " ".join(found)


def published_readme() -> Texts:
    yield "leaderboard/README.md", (ROOT / "leaderboard/README.md").read_text()


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / "robustbench_pix").rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def _literals(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


SURFACES = {
    "readme": readme,
    "docs": docs,
    "help": help_texts,
    "columns": column_texts,
    "errors": error_texts,
    "page": page,
    "published readme": published_readme,
}

CHECKED = ["readme", "docs", "help", "columns", "errors", "page", "published readme"]
"""Surfaces that speak the glossary's language; add a name of ``SURFACES`` once it does."""


DOCSTRINGS_OF = [
    "",
    "attacks",
    "catalogue",
    "cli",
    "conformance",
    "data",
    "evaluation",
    "leaderboard",
    "networks",
    "recipes",
    "regularizers",
    "results",
    "runs",
    "training",
]
"""Folders of the package whose docstrings speak the glossary's language; "" is the package's own modules."""


def uses(text: str) -> list[str]:
    """Return the retired words that a text uses, each with the term that stands for it."""
    found = []
    for word in WORDS:
        pattern = word.get("pattern") or rf"\b{re.escape(word['retired'])}\b"
        found += [f"{match[0]!r} (say {word['term']})" for match in re.finditer(pattern, text, re.IGNORECASE)]
    return found


@pytest.mark.parametrize("surface", CHECKED)
def test_retired_words_do_not_occur(surface):
    assert [f"{place}: {use}" for place, text in SURFACES[surface]() for use in uses(text)] == []


@pytest.mark.parametrize("folder", DOCSTRINGS_OF)
def test_retired_words_do_not_occur_in_docstrings(folder):
    assert [f"{place}: {use}" for place, text in docstrings(folder) for use in uses(text)] == []


@pytest.mark.parametrize("surface", SURFACES)
def test_every_surface_has_texts(surface):
    assert any(text for _, text in SURFACES[surface]())


@pytest.mark.parametrize("folder", DOCSTRINGS_OF)
def test_every_folder_has_docstrings(folder):
    assert any(text for _, text in docstrings(folder))


def entries() -> dict[str, str]:
    parts = re.split(r"^### (.+)\n", ENTRIES, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_term_has_a_definition_and_a_source():
    assert len(entries()) > 40
    for term, text in entries().items():
        definition = text.strip().partition("\n\n")[0]
        assert len(definition) > 40, term
        assert definition.endswith((".", ":")), term
        assert re.search(r"^Source: \S", text, re.MULTILINE), term


def test_the_table_of_retired_words_is_the_list():
    rows = re.findall(r"^\| ([^|]+) \| \[([^\]]+)\]\(#([^)]+)\) \|$", RETIRED_TABLE, re.MULTILINE)
    anchors = [re.sub(r"[^a-z0-9 -]", "", word["entry"].lower()).replace(" ", "-") for word in WORDS]
    listed = [(word["retired"], word["term"], anchor) for word, anchor in zip(WORDS, anchors, strict=True)]
    assert rows == listed
    assert {word["entry"] for word in WORDS} <= set(entries())


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Recipes that are not told apart", "told apart"),
        ("the seed of a given model", "given model"),
        ("ranked within its block", "block"),
        ("each image is keyed", "keyed"),
        ("half at", "half at"),
    ],
)
def test_a_retired_word_is_found(text, word):
    assert len(uses(text)) == 1
    assert word in uses(text)[0]


def test_words_that_look_like_retired_ones_are_left_alone():
    assert uses("two basic blocks, a code block, given a model, a keyword, decision-based") == []
