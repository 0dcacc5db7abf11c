"""rbp tune: the table, the heat map, the entry, and what it refuses."""

import csv
import io
import json
import tomllib

import pytest

from tests.workspaces import LEARNT

GRID = ("--grid", "alpha=0.1,0.5", "--grid", "threshold=0.2,0.3")
COMMON = ("--on", "tiny", "--seeds", "1", "--executor", "inline", "--device", "cpu")


def test_a_search_is_shown_with_a_heat_map_and_written(rbp, workspace, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    said = rbp("tune", "thresholded", *COMMON, *GRID, "--write")
    assert said.code == 0, said
    lines = said.out.splitlines()
    assert lines[0].split() == ["recipe", "alpha", "threshold", "clean", "noise", "kept", "chosen", "note"]
    entry = tomllib.loads((workspace / "models/thresholded.toml").read_text())["tuned"][0]
    chosen = next(line for line in lines if line.startswith("thresholded") and line.split()[6] == "true").split()
    assert [float(value) for value in chosen[1:3]] == [entry["alpha"], entry["threshold"]]
    cells = [line.split() for line in lines if line.lstrip().startswith(("0.1 ", "0.5 ")) and "true" not in line]
    assert [row[0] for row in cells] == ["0.1", "0.5"], "legible without colour"
    marked = [cell for row in cells for cell in row if cell.endswith("*")]
    assert marked == [f"{float(chosen[4]):.3f}*"]
    assert f"alpha = {entry['alpha']}, threshold = {entry['threshold']} is chosen" in said.out
    assert entry["network_parameters"] == {"width": 8}
    again = rbp("tune", "thresholded", *COMMON, *GRID, "--format", "csv")
    baseline, *rows = csv.DictReader(io.StringIO(again.out))
    assert (baseline["recipe"], baseline["alpha"], baseline["chosen"]) == ("unregularized", "", "false")
    assert f"clean accuracy of unregularized, {float(baseline['clean']):.4f}" in again.err
    assert [row["chosen"] for row in rows].count("true") == 1
    noise = [float(row["noise"]) for row in rows]
    assert noise == sorted(noise, reverse=True)
    assert "is chosen" in again.err


def test_a_shipped_recipe_is_copied_with_its_comments(rbp, workspace):
    assert rbp("tune", "pixel", *COMMON, "--grid", "alpha=0.1", "--write").code == 0
    text = (workspace / "models/pixel.toml").read_text()
    assert "# the paper's for CIFAR" in text
    assert tomllib.loads(text)["tuned"][-1]["task"] == "tiny"


def test_one_parameter_has_a_heat_map_of_one_line(rbp, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    said = rbp("tune", "pixel", *COMMON, "--grid", "alpha=0.1,0.5")
    lines = said.out.splitlines()
    place = next(place for place, line in enumerate(lines) if line.split() == ["alpha", "0.1", "0.5"])
    cells = lines[place + 1].split()
    assert len(cells) == 2
    assert sum(cell.endswith("*") for cell in cells) == 1


def test_where_no_point_keeps_the_accuracy_nothing_is_written(rbp, workspace):
    (workspace / "models/tasks/tiny.toml").write_text(LEARNT)
    before = (workspace / "models/thresholded.toml").read_text()
    said = rbp("tune", "thresholded", *COMMON, "--grid", "alpha=20.0", "--write")
    assert said.code == 1
    (last,) = [line for line in said.err.splitlines() if "keeps" in line]
    assert last.startswith("thresholded: none of 1 points keeps 0.9 of the clean accuracy of unregularized")
    assert (workspace / "models/thresholded.toml").read_text() == before


def test_a_dry_run_shows_the_jobs_and_runs_nothing(rbp, workspace):
    said = rbp("tune", "thresholded", *COMMON, *GRID, "--dry-run", "--format", "json")
    counts = {row["jobs"]: row["count"] for row in json.loads(said.out)}
    assert counts == {"train": 5, "validation": 5, "all": 10}
    assert not (workspace / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("unregularized",), "The recipe unregularized states no [search], so there is nothing to tune"),
        (("statistics",), "The recipe statistics states no [search]"),
        (("thresholdd",), "There is no recipe named 'thresholdd'. Did you mean thresholded?"),
        (("pixel", "--grid", "alpha"), "--grid 'alpha' must be PARAMETER=VALUE,VALUE"),
        (("pixel", "--grid", "alpha=-1"), "--grid on pixel: search.alpha: Input should be greater than or equal to 0"),
        (("pixel", "--grid", "alpa=1"), "there is no such field (did you mean alpha?)"),
        (("blur", "--grid", "sigm=1"), "The recipe 'blur' has no parameter sigm"),
        (("pixel", "--size", "reduced"), "The task tiny has no size 'reduced'"),
        (("neural",), "The recipe neural cannot be trained on tiny:tiny: it"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(rbp, arguments, sentence):
    assert sentence in rbp("tune", *arguments, *COMMON).refusal
