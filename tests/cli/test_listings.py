"""What the listings show, in every format and width, and how little they import."""

import csv
import io
import json
import re
import subprocess
import sys

import pytest

from robustbench_pix.catalogue.workspace import FOLDERS, Workspace
from robustbench_pix.cli import main
from robustbench_pix.cli.output import WIDE, column_widths

LISTINGS = {"recipes": "recipe", "models": "recipe", "attacks": "attack", "suites": "suite", "tasks": "task"}
LIGHT = ["--help", *LISTINGS, "show thresholded", "show boundary", "show tiny", "show blackbox", "run --help"]
HEAVY = ("torch", "torchvision", "foolbox", "art", "pandas", "numpy", "scipy", "sklearn")
MEASURE = """\
import sys, time
began = time.process_time()
from robustbench_pix.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert ended.code == 0, ended.code
print(time.process_time() - began, *(name for name in {heavy} if name in sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", LIGHT)
def test_listings_are_quick_and_import_nothing_heavy(workspace, arguments):
    program = [sys.executable, "-c", MEASURE.format(heavy=HEAVY), *arguments.split()]
    done = subprocess.run(program, cwd=workspace, capture_output=True, text=True, check=True)
    seconds, *imported = done.stderr.split()
    assert imported == []
    assert float(seconds) < 0.8  # 0.4 on a machine that does nothing else
    assert done.stdout


@pytest.mark.parametrize("command", [*LISTINGS, "show thresholded", "show tiny", "show gaussian"])
def test_every_format_says_the_same(rbp, command):
    rows = json.loads(rbp(*command.split(), "--format", "json").out)
    text = rbp(*command.split(), "--format", "csv").out
    table = list(csv.DictReader(io.StringIO(text)))
    assert [list(row) for row in table] == [list(row) for row in rows]
    assert "\r" not in text
    for row, values in zip(table, rows, strict=True):
        for name, value in values.items():
            if isinstance(value, (str, int)) and not isinstance(value, bool):
                assert row[name] == str(value)
            if isinstance(value, list) and all(isinstance(part, str) for part in value):
                assert row[name] == ", ".join(value)
    head, rule, *lines = rbp(*command.split(), "--format", "markdown").out.splitlines()
    assert head.strip("| ").split(" | ") == list(rows[0])
    assert set(rule) == {"|", "-"}
    assert len(lines) == len(rows)


@pytest.mark.parametrize("width", [64, 80, 100, 119, 120, 140, 200])
@pytest.mark.parametrize("command", LISTINGS)
def test_tables_fit_and_names_stay_whole(workspace, rbp, monkeypatch, command, width):
    monkeypatch.setenv("COLUMNS", str(width))
    text = rbp(command).out
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    kind = LISTINGS[command]
    for name in Workspace(workspace).names(FOLDERS[kind]):
        assert re.search(rf"^{re.escape(name)} ", text, re.MULTILINE), name
        summary = getattr(Workspace(workspace), kind)(name).summary
        assert all(word in text for word in summary.split())
    columns = text.splitlines()[0].split()
    assert ("from" in columns) == (width >= WIDE)


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("name", ["thresholded", "shuffled", "boundary-50-steps", "blackbox", "mnist"])
def test_show_reads_well(rbp, monkeypatch, name, width):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = rbp("show", name).out.splitlines()
    assert re.fullmatch(rf"(recipe|attack|suite|task) {name}", lines[0])
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    fields = [line[2:].split()[0] for line in lines if re.match(r"  \S", line)]
    assert {"path", "summary", "reference"} <= set(fields)
    assert len(set(fields)) == len(fields)


def test_show_fills_in_defaults_and_tells_what_is_not_set(rbp):
    text = rbp("show", "neural").out
    assert (
        re.search(r"^  parameters\.pairs +16$", text.replace(" \n", "\n"), re.MULTILINE) or "parameters.pairs" in text
    )
    values = {row["field"]: row["value"] for row in json.loads(rbp("show", "neural", "--format", "json").out)}
    assert values["parameters.similarity"] is None
    assert values["parameters.pairs"] == 16
    assert re.search(r"parameters\.similarity +not set", text)


def test_show_spells_nested_fields_with_dots(rbp):
    rows = json.loads(rbp("show", "mnist", "--format", "json").out)
    values = {(row["kind"], row["field"]): row["value"] for row in rows}
    assert values["task", "training.epochs"] == 20
    assert values["task", "sizes.reduced.network_parameters.width"] == 16
    assert values["images", "content"] == "the first 5,000 training images, 28x28"
    assert not any(isinstance(row["value"], dict) for row in rows)


def test_show_a_run(workspace, run, rbp):
    run()
    for folder in sorted((workspace / "runs").glob("*-*")):
        values = {row["field"]: row["value"] for row in json.loads(rbp("show", folder.name, "--format", "json").out)}
        assert (values["name"], values["state"], values["device"]) == (folder.name, "whole", "cpu")
        assert values["identity.kind"] == folder.name.partition("-")[0]
        assert rbp("show", f"runs/{folder.name}/").out == rbp("show", folder.name).out


def test_from_tells_the_workspace_from_the_package(workspace, rbp):
    rows = json.loads(rbp("attacks", "--format", "json").out)
    places = {row["attack"]: row["from"] for row in rows}
    assert (places["gaussian"], places["uniform"]) == ("workspace", "package")


def test_brackets_are_no_markup(workspace, rbp):
    text = (workspace / "attacks/gaussian.toml").read_text().replace("Gaussian noise", "[red]Noise[/] in [0, 1]")
    (workspace / "attacks/gaussian.toml").write_text(text)
    assert "[red]Noise[/] in [0, 1]" in " ".join(rbp("attacks").out.split())
    assert "[red]Noise[/] in [0, 1]" in " ".join(rbp("show", "gaussian").out.split())


@pytest.mark.parametrize("command", [[], *([name] for name in main.commands)], ids=lambda command: command or ["rbp"])
def test_help(rbp, command):
    said = rbp(*command, "--help")
    assert said.code == 0
    assert re.search(r"^ Examples?[,:]", said.out, re.MULTILINE)
    assert f"$ {' '.join(['rbp', *command])}" in said.out or not command
    assert max(map(len, said.out.splitlines())) <= 80
    assert "…" not in said.out
    assert rbp(*command, "-h").out == said.out
    for parameter in main.commands[command[0]].params if command else ():
        if parameter.param_type_name == "option":
            assert getattr(parameter, "help", None), parameter.name
            assert parameter.opts[0] in said.out
            assert " ".join(parameter.help.split()[:3]) in said.out


def test_defaults_in_the_help_of_run(rbp):
    text = re.sub(r"[│\s]+", " ", rbp("run", "--help").out)
    for default in ("blackbox", "unregularized, pixel, thresholded, neural", "digits", "3", "full", "(the task's)"):
        assert f"[default: {default}]" in text


def test_version(rbp):
    from robustbench_pix import __version__

    assert rbp("--version").out == f"rbp, version {__version__}\n"


def test_widths_give_way_to_words_first_and_then_to_the_room():
    texts = [["name-of-it"], ["a b c d e f"], ["a very-long-word-indeed"]]
    assert column_widths(texts, 100) == [10, 11, 23]
    assert column_widths(texts, 40) == [10, 9, 21]
    assert column_widths(texts, 32) == [10, 1, 21]
    assert column_widths(texts, 20) == [10, 1, 9]
    assert column_widths(texts, 5) == [10, 1, 1]


@pytest.mark.parametrize("engine", ["foolbox", "art"])
def test_the_classes_of_a_library_are_listed_with_what_they_need(rbp, monkeypatch, engine):
    monkeypatch.setenv("COLUMNS", "100")
    rows = json.loads(rbp("attacks", "--engine", engine, "--format", "json").out)
    text = rbp("attacks", "--engine", engine).out
    assert max(map(len, text.splitlines())) <= 100
    assert len(rows) > 40
    for row in rows:
        assert re.search(rf"^{row['class'].partition(':')[2]} ", text, re.MULTILINE)
        assert row["access"] or row["known_defect"].startswith("refused: ")


def test_our_own_attacks_are_listed_with_their_defaults(rbp):
    rows = {row["attack"]: row for row in json.loads(rbp("attacks", "--engine", "own", "--format", "json").out)}
    assert rows["boundary"]["parameters"]["steps"] == 25000
    assert rows["gaussian-noise"] == {
        "attack": "gaussian-noise",
        "parameters": {},
        "what": "x + sigma n, with n standard normal.",
    }
