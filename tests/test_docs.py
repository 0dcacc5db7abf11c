"""The documentation: links lead somewhere, commands parse, paths exist, pages are listed, YAML is YAML."""

import importlib.util
import json
import re
import runpy
import shlex
import sys
from pathlib import Path

import click
import numpy as np
import pytest
import yaml
from click.testing import CliRunner

import robustbench_pix as rbp
from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.cli import main
from tests.workspaces import tiny_workspace

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/*.md", "models/*.md", "attacks/*.md", ".github/**/*.md")
    for path in ROOT.glob(pattern)
)
HISTORY = {"CHANGELOG.md", "changes-of-meaning.md"}
MADE = ("reference/commands.md", "reference/catalogue-files.md", "reference/columns.md")
"""Pages that are written when the site is built."""

PAGES_BY_NAME = [pytest.param(path, id=path.relative_to(ROOT).as_posix()) for path in PAGES]


def load(name: str):
    """Import a script of docs/."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings of a page, as mkdocs and GitHub name them."""
    plain = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    titles = [title.lower() for title in re.findall(r"^#+ (.+)$", plain, re.MULTILINE)]
    return {re.sub(r"[^\w\- ]", "", title).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES_BY_NAME)
def test_links_lead_to_files_and_headings(page):
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", page.read_text()):
        place, _, anchor = target.partition("#")
        file = (page.parent / place).resolve() if place else page
        if DOCS in file.parents and file.relative_to(DOCS).as_posix() in MADE:
            continue
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text()), target


def commands(text: str) -> list[str]:
    """Return the lines of the code blocks of a page that call rbp, without comments and redirections."""
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    parts = [part.strip() for line in lines for part in line.split(" # ")[0].split("&&")]
    return [part for part in parts if part.startswith("rbp ")]


@pytest.mark.parametrize("page", PAGES_BY_NAME)
def test_commands_parse(page):
    parent = click.Context(main, info_name="rbp", **main.context_settings)  # Else click keeps a help option without -h.
    for line in commands(page.read_text()):
        name, *arguments = shlex.split(line)[1:]
        try:
            main.commands[name].make_context(name, list(arguments), parent).close()
        except click.BadParameter as error:
            if "does not exist" not in error.message:  # Folders of an example are not here.
                raise


@pytest.mark.parametrize("page", [page for page in PAGES_BY_NAME if page.values[0].name not in HISTORY])
def test_paths_in_the_repository_exist(page):
    tops = "robustbench_pix|tests|docs|benchmarks|studies|examples"
    for path in re.findall(rf"`((?:{tops})/[\w./-]*)`", page.read_text()):
        assert (ROOT / path).exists(), path


def files_of(page: str) -> dict[str, str]:
    """Return the files that a page shows: code blocks that begin with their path as a comment."""
    blocks = re.findall(r"```\w+\n(.*?)```", (DOCS / page).read_text(), flags=re.DOTALL)
    return {found[1]: block for block in blocks if (found := re.match(r"# (\S+\.(?:py|toml))\n", block))}


def test_the_attack_that_the_page_shows_passes_its_certificate(tmp_path):
    files = files_of("how-to/add-an-attack.md")
    assert "attacks/darken.py" in files
    for place, text in files.items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text)
    arguments = ["doctor", "--attacks", "darken", "--workspace", str(tmp_path)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "0 fail" in result.output
    for name in ("sign-opt", "mine"):
        assert CliRunner().invoke(main, ["show", name, "--workspace", str(tmp_path)]).exit_code == 0


def test_the_table_of_recipes_is_that_of_their_files():
    page = (DOCS / "recipes.md").read_text()
    assert page.partition("<!-- python docs/recipes_table.py -->\n")[2] == load("recipes_table").table()
    named = set(re.findall(r"`([a-z0-9-]+)`", page.partition("## All recipes")[0].partition("## Which control")[2]))
    assert named <= set(Workspace(ROOT).names("models"))
    for name in named:
        spec = Workspace(ROOT).recipe(name)
        assert not spec.controls or f"`{spec.controls}`" in page


def test_the_table_of_protocols_is_that_of_the_trials():
    script = runpy.run_path(str(ROOT / "studies/protocols.py"))
    lines = script["table"](script["measured"]())
    assert len(lines) > 10
    assert (
        "<!-- python studies/protocols.py --table -->\n" + "\n".join(lines) + "\n\n" in (DOCS / "mnist.md").read_text()
    )


def test_the_regularizer_page_shows_what_the_readme_shows():
    readme = (ROOT / "README.md").read_text()
    files = files_of("how-to/add-a-regularizer.md")
    assert len(files) == 2
    assert all(text in readme for text in files.values())


def test_the_recipes_that_the_page_shows_are_trained_and_attacked(tmp_path):
    files = files_of("how-to/add-a-recipe.md")
    for place, text in files.items():
        (tiny_workspace(tmp_path) / place).write_text(text)
        lines = [line for line in text.splitlines() if line.strip()]
        assert len(lines) < 40
    (tmp_path / "attacks/suites/noise.toml").write_text('version = 1\nsummary = "x"\nattacks = ["gaussian"]\n')
    np.save(tmp_path / "models/responses.npy", np.random.default_rng(0).normal(size=(40, 3)))
    recipes = {Path(place).stem for place in files}
    assert recipes == {"halved", "brightened", "focal", "anchored", "predicted"}
    rbp.run(
        recipes=sorted(recipes),
        suite="noise",
        on="tiny",
        seeds="1",
        workspace=tmp_path,
        executor="inline",
        device="cpu",
    )
    assert {
        json.loads(spec.read_text())["context"]["recipe"] for spec in tmp_path.glob("runs/train-*/spec.json")
    } == recipes
    shown = CliRunner().invoke(main, ["show", "predicted", "--workspace", str(tmp_path), "--format", "json"])
    assert {row["field"]: row["value"] for row in json.loads(shown.output)}["slots"] == ["penalty"]


def test_the_site_lists_every_page_once():
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    listed = [place for section in site["nav"] for value in section.values() for place in _places(value)]
    assert sorted(listed) == sorted([*MADE, *(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))])
    assert [hook for hook in site["hooks"] if not (ROOT / hook).is_file()] == []


def _places(value):
    return [value] if isinstance(value, str) else [place for entry in value for place in entry.values()]


def test_the_reference_names_every_command_option_key_and_column():
    reference = load("reference")
    pages = reference.pages()
    assert tuple(pages) == MADE
    for name, command in main.commands.items():
        assert f"\n## rbp {name}\n" in pages[MADE[0]]
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert f"`{option.opts[0]}`" in pages[MADE[0]], (name, option.opts)
    for _, spec in reference.SPECS.values():
        for key in set(spec.model_fields) - set(reference.OF_THE_FILE):
            assert re.search(rf"^\| `{key}` \| \S", pages[MADE[1]], re.MULTILINE), key
    assert set(reference.MEANINGS) == {
        key for _, spec in reference.SPECS.values() for key in spec.model_fields if key not in reference.OF_THE_FILE
    }
    for name, table in reference._declared():
        for column in (table[0], table[-1]):
            assert f"`{column.name}`" in pages[MADE[2]], (name, column.name)


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("concepts.md", "(glossary.md#query)", "(glossary.md#query)"),
        ("concepts.md", "(../README.md)", "(HOME/blob/main/README.md)"),
        ("how-to/verify.md", "(../../SECURITY.md#a)", "(HOME/blob/main/SECURITY.md#a)"),
        ("speed.md", "(../benchmarks/results)", "(HOME/tree/main/benchmarks/results)"),
        ("index.md", "(https://arxiv.org/abs/1)", "(https://arxiv.org/abs/1)"),
    ],
)
def test_links_that_leave_the_site_lead_to_the_repository(page, link, expected, monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    hooks = load("site_hooks")

    class Page:
        class file:  # noqa: N801
            src_uri = page

    found = hooks.on_page_markdown(f"see [this]{link}", page=Page, config={"repo_url": "HOME"}, files=None)
    assert found == f"see [this]{expected}"


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.relative_to(ROOT).as_posix())
        for pattern in ("*.yml", ".*.yaml", ".github/**/*.yml", "CITATION.cff")
        for path in ROOT.glob(pattern)
    ],
)
def test_yaml_parses(path):
    found = yaml.safe_load(path.read_text())
    assert isinstance(found, dict)
    json.dumps(found, default=str)
    if path.parent.name == "workflows":
        for job in found["jobs"].values():
            assert job["runs-on"]
            assert all(("uses" in step) != ("run" in step) for step in job["steps"])
    if path.parent.name == "ISSUE_TEMPLATE" and path.stem != "config":
        assert {"name", "description", "body"} <= set(found)
        ids = [field["id"] for field in found["body"]]
        assert len(ids) == len(set(ids))


def test_the_workflow_tests_every_python_that_the_package_names():
    workflow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    named = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project)
    assert workflow["jobs"]["tests"]["strategy"]["matrix"]["python"] == named


def test_the_gains_figure_is_that_of_the_published_board():
    figure = load("gains_figure")
    rows = figure.published_rows()
    assert figure.FIGURE.read_text(encoding="utf-8") == figure.draw(rows), "python docs/gains_figure.py draws it anew"
    best = max((row for row in rows if row["gain"]), key=lambda row: float(row["gain"]))
    assert f"{float(best['gain']):+.3f} [" in figure.FIGURE.read_text(encoding="utf-8")


def test_home_is_the_same_everywhere():
    home = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["repo_url"]
    assert f'Homepage = "{home}"' in (ROOT / "pyproject.toml").read_text()
    for path in (ROOT / "CONTRIBUTING.md", ROOT / ".github/ISSUE_TEMPLATE/config.yml"):
        assert home in path.read_text()
