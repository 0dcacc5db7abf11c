"""``rbp transfer``: what it trains, the numbers it shows, and what it leaves alone."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest

from tests.workspaces import FGSM

SMALL = ("--on", "tiny", "--executor", "inline", "--device", "cpu")
GRID = ("--source-network", "small", "--source-network", "plain", "--source-seeds", "1", "--seeds", "2")


@pytest.fixture
def matrix(rbp):
    """Give a function that does ``rbp transfer`` on the tiny task, in this process."""
    return lambda *arguments: rbp("transfer", *SMALL, *arguments)


def records(text):
    return list(csv.DictReader(io.StringIO(text)))


def specs(workspace):
    return {path.parent.name: json.loads(path.read_text()) for path in (workspace / "runs").glob("*-*/spec.json")}


def robustness_by_hand(workspace, name):
    """Return the normalized area under the accuracy, from the table of images."""
    examples = pd.read_parquet(workspace / "runs" / name / "examples.parquet")
    right = (examples["prediction"] == examples["label"]) & (examples["clean_prediction"] == examples["label"])
    accuracy = right.groupby(examples["strength"]).mean()
    return float(np.trapezoid(accuracy, accuracy.index) / accuracy.index[-1])


def test_each_cell_is_the_robustness_of_a_victim_to_one_source(workspace, matrix):
    said = matrix(*GRID, "--format", "csv")
    assert said.code == 0
    rows = [row for row in records(said.out) if row["statistic"] == "auc"]
    shown = [(row["source_recipe"], row["source_network"], row["source_seed"]) for row in rows]
    recipes, networks = ("unregularized", "thresholded"), ("small", "plain")
    assert shown == [(recipe, network, seed) for recipe in recipes for network in networks for seed in "0"]
    found = specs(workspace)
    trained = [spec for name, spec in found.items() if name.startswith("train")]
    assert len(trained) == 2 * 2 + len(shown)
    cells = {}
    for name, spec in found.items():
        if name.startswith("attack"):
            victim, source = (found[need]["identity"] for need in spec["needs"])
            kinds = ["thresholded" if model["regularization"] else "unregularized" for model in (source, victim)]
            key = (kinds[0], source["task"]["network"], str(source["seed"] - 1_000_000), kinds[1])
            cells.setdefault(key, {})[victim["seed"]] = robustness_by_hand(workspace, name)
    assert len(cells) == 2 * len(shown)
    for row, source in zip(rows, shown, strict=True):
        for recipe in recipes:
            by_seed = cells[(*source, recipe)]
            assert sorted(by_seed) == [0, 1]
            assert float(row[f"auc_{recipe}"]) == pytest.approx(np.mean(list(by_seed.values())), abs=1e-9)


def test_the_same_attack_of_a_suite_is_the_same_run(workspace, matrix, run):
    (workspace / "attacks/suites/fgsm.toml").write_text('version = 1\nsummary = "One"\nattacks = ["transfer-fgsm"]\n')
    assert run(suite="fgsm").code == 0
    before = set(specs(workspace))
    assert matrix("--recipe", "unregularized", "--source-seeds", "1", "--seeds", "1").code == 0
    assert set(specs(workspace)) == before


def test_the_board_shows_suites_only(workspace, matrix, run, rbp):
    run()
    before = rbp("leaderboard").out
    plans = [path.name for path in (workspace / "runs/plans").iterdir()]
    assert matrix("--recipe", "unregularized", "--seeds", "1").code == 0
    assert rbp("leaderboard").out == before
    assert [path.name for path in (workspace / "runs/plans").iterdir()] == plans


def test_a_table_says_who_is_who(matrix):
    said = matrix("--seeds", "1")
    assert said.out.startswith("transfer-fgsm on tiny:tiny: from each source (down) to each victim (across)\n")
    assert max(map(len, said.out.splitlines())) <= 80
    lines = [line for line in said.out.splitlines() if not line.startswith("─")]
    head, first, second, mean, spread = map(str.split, lines[2:7])
    assert head == ["source", "network", "seed", "mean", "unregularized", "thresholded"]
    assert first[:3] == ["unregularized", "small", "0"]
    assert (second[0], mean[0], spread[0]) == ("1", "mean", "±")
    assert first[4].startswith("=")
    assert not any(text.startswith("=") for text in (first[3], first[5]))
    assert not any(text.startswith("=") for text in spread)
    assert "±: standard deviation over the sources' seeds" in said.out
    assert "seed of the victims: 0" in said.out


def test_many_victims_stand_in_several_tables(workspace, matrix, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    recipes = ("unregularized", "pixel", "shuffled", "statistics")
    chosen = [part for recipe in recipes for part in ("--recipe", recipe)]
    said = matrix(*chosen, "--source-recipe", "unregularized", "--source-seeds", "1", "--seeds", "1")
    assert max(map(len, said.out.splitlines())) <= 60
    assert said.out.count("source  ") == 2
    assert "standard deviation" not in said.out


def test_markdown_and_json_have_the_same_rows(matrix):
    arguments = ("--recipe", "unregularized", "--seeds", "1")
    rows = json.loads(matrix(*arguments, "--format", "json").out)
    assert [row["statistic"] for row in rows] == ["auc", "auc", "mean", "deviation"]
    assert [row["source_seed"] for row in rows] == [0, 1, None, None]
    assert all(row["same_recipe"] == "unregularized" for row in rows)
    head, _, *lines = matrix(*arguments, "--format", "markdown").out.strip().splitlines()
    assert [name.strip() for name in head.strip("|").split("|")] == list(rows[0])
    assert len(lines) == 4


def test_a_victim_that_does_not_run_is_told_and_one_that_fails_ends_with_1(workspace, matrix):
    (workspace / "models/bad.toml").write_text(
        'summary = "x"\nregularizer = "bad.py:bad"\nparameters = { alpha = 1 }\n'
    )
    (workspace / "models/bad.py").write_text("def bad(step):\n    return 1 / 0\n")
    common = ("--recipe", "unregularized", "--source-recipe", "unregularized", "--source-seeds", "1", "--seeds", "1")
    said = matrix(*common, "--recipe", "neural")
    assert said.code == 0
    assert "neural: not run - needs neural responses" in said.out
    said = matrix(*common, "--recipe", "bad")
    assert said.code == 1
    assert "bad: failed - the recipe's penalty raised ZeroDivisionError" in said.out
    assert [said.out.splitlines()[4].split()[place] for place in (3, -1)] == ["–", "–"]


def test_a_matrix_without_victims_is_refused(matrix):
    refusal = matrix("--recipe", "neural", "--source-recipe", "unregularized").refusal
    assert refusal.startswith("No victim can run (neural needs neural responses")


def test_minimal_distances_have_a_matrix_too(workspace, matrix):
    text = FGSM.replace('"fast-gradient-sign"', '"foolbox:LinfDeepFoolAttack"')
    (workspace / "attacks/deep.toml").write_text(text + "[evaluation]\nimages = 8\n")
    arguments = ("--recipe", "unregularized", "--source-seeds", "1", "--seeds", "1", "--format", "csv")
    [row] = records(matrix("--attack", "deep", *arguments).out)
    assert 0 <= float(row["auc_unregularized"]) <= 1


def test_a_table_for_a_paper_holds_the_matrix(workspace, matrix):
    arguments = ("--recipe", "unregularized", "--source-seeds", "1", "--seeds", "1", "--format", "csv")
    said = matrix(*arguments, "--latex", "paper/transfer.tex")
    assert "wrote paper/transfer.tex" in said.err
    [row] = records(said.out)
    text = (workspace / "paper/transfer.tex").read_text()
    shown = f"{float(row['auc_unregularized']):.3f}".removeprefix("0")
    assert f"unregularized & small & 0 &  & ${shown}$ & $=$ & ${shown}$" in text.replace("{=}", "=")
    assert "transferred FGSM on tiny:tiny" in text
    assert "seed of the victims: 0; network of the victims: small; strict protocol" in text
