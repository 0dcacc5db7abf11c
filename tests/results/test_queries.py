"""Success and distance against queries, against what the log of each image says."""

import hashlib
import json
import shutil

import numpy as np
import pandas as pd
import pytest

import robustbench_pix as rbp
from robustbench_pix.attacks.recorded import CHECKPOINTS
from robustbench_pix.identity import digest as identity_digest
from robustbench_pix.results.queries import attack_lines, query_table
from robustbench_pix.runs.manifest import sealed
from robustbench_pix.runs.plan_store import PlannedRow, save_plan, saved_rows
from robustbench_pix.runs.store import Store
from tests.workspaces import TASK

ATTACK = """
summary = "To test with"
attack = "{attack}"
access = "{access}"
strength = "{norm}"
strengths = {{ tiny = {strengths} }}
parameters = {{ steps = 1000 }}
evaluation = {{ images = 16, budget = 1000 }}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    root = tmp_path_factory.mktemp("queries")
    (root / "attacks" / "suites").mkdir(parents=True)
    walk = ATTACK.format(attack="boundary", access="decisions", norm="l2", strengths=[0.0, 1.5, 2.5])
    squares = ATTACK.format(attack="square", access="scores", norm="linf", strengths=[0.0, 0.05, 0.2])
    (root / "attacks" / "walk.toml").write_text(walk)
    (root / "attacks" / "squares.toml").write_text(squares)
    (root / "attacks" / "suites" / "both.toml").write_text(
        'version = 1\nsummary = "Both, and one without queries"\nattacks = ["walk", "squares", "gaussian"]\n'
    )
    (root / "models" / "tasks").mkdir(parents=True)
    (root / "models" / "tasks" / "tiny.toml").write_text(TASK.replace("epochs = 2", "epochs = 12"))
    rbp.run(suite="both", recipes="unregularized", on="tiny", seeds=2, workspace=root, executor="inline")
    return root


def examples_of(root, attack):
    specs = {folder: json.loads((folder / "spec.json").read_text()) for folder in (root / "runs").glob("attack-*")}
    chosen = [folder for folder, spec in specs.items() if spec["context"]["attack"] == attack]
    parts = [pd.read_parquet(folder / "examples.parquet") for folder in chosen]
    together = pd.concat(parts)
    return together[together["label"] == together["clean_prediction"]]


def test_only_attacks_with_queries_of_the_model_have_lines(ran):
    table = query_table(saved_rows(Store(ran / "runs")), Store(ran / "runs"))
    assert sorted(zip(table["attack"], table["strength"], strict=True)) == [
        ("squares", 0.05), ("squares", 0.2), ("walk", 1.5), ("walk", 2.5),
    ]  # fmt: skip
    assert (table["query_budget"] == 1000).all()
    assert (table["seeds"] == 2).all()


def test_success_of_score_attacks_is_counted_from_the_query_that_found_it(ran):
    table = query_table(saved_rows(Store(ran / "runs")), Store(ran / "runs")).set_index(["attack", "strength"])
    examples = examples_of(ran, "squares")
    for strength in (0.05, 0.2):
        line, rows = table.loc[("squares", strength)], examples[examples["strength"] == strength]
        found = rows[~rows["correct"]]
        assert (found["found_at"] > 0).all()
        assert (line["n"], line["found"]) == (len(rows), len(found))
        for count in (10, 100):
            assert line[f"success_at_{count}"] == pytest.approx((found["found_at"] <= count).sum() / len(rows))
        spent = np.where(rows["correct"], 1000, rows["found_at"])
        assert line["restricted_mean_queries"] == pytest.approx(spent.mean())


def test_success_of_decision_attacks_is_when_the_distance_was_reached(ran):
    table = query_table(saved_rows(Store(ran / "runs")), Store(ran / "runs")).set_index(["attack", "strength"])
    examples = examples_of(ran, "walk")
    for strength in (1.5, 2.5):
        line = table.loc[("walk", strength)]
        assert line["found"] == (examples["l2"] <= strength).sum()
        for count in (300, 1000):
            assert line[f"success_at_{count}"] == pytest.approx((examples[f"distance_at_{count}"] <= strength).mean())
        assert line["distance_at_1000"] == pytest.approx(np.median(examples["distance_at_1000"]))
        assert np.isfinite(line["distance_at_1000"])
    rates = [table.loc[("walk", 2.5)][f"success_at_{count}"] for count in CHECKPOINTS if count <= 1000]
    assert rates == sorted(rates)
    assert np.isnan(table.loc[("walk", 2.5)]["success_at_2000"])


def copied(root, folder, change):
    """Return the table of a copy of a workspace's runs whose examples were changed."""
    shutil.copytree(root / "runs", folder / "runs")
    renamed = {}
    for run in list((folder / "runs").glob("attack-*")):
        spec, examples = json.loads((run / "spec.json").read_text()), pd.read_parquet(run / "examples.parquet")
        spec["identity"]["attack"]["evaluation"]["budget"] = None
        change(spec["context"]["attack"], examples)
        examples.to_parquet(run / "examples.parquet", index=False)
        digest = hashlib.sha256((run / "examples.parquet").read_bytes()).hexdigest()
        text = sealed({**spec, "files": {"examples.parquet": digest}})
        (run / "spec.json").write_text(text)
        new = f"attack-{identity_digest(spec['identity'])}"
        run.rename(run.with_name(new))
        renamed[run.name] = new
    plans = folder / "runs/plans"
    for plan in list(plans.iterdir()):
        rows = json.loads(plan.read_text())["rows"]
        for cell in (cell for row in rows for cell in row["cells"]):
            cell["run"] = renamed.get(cell["run"], cell["run"])
        plan.unlink()
        save_plan([PlannedRow.from_json(row) for row in rows], Store(folder / "runs"))
    store = Store(folder / "runs")
    return query_table(saved_rows(store), store).set_index(["attack", "strength"])


def test_failing_early_is_no_success_and_leaves_the_median_open(ran, tmp_path):
    """Without a budget a failure that ended early would be censored early, and the median be that of the successes."""

    def change(attack, examples):
        if attack == "squares":
            number = np.arange(len(examples))
            examples["correct"], examples["found_at"] = number % 3 > 0, np.where(number % 3 > 0, 0, 100)
            examples["queries"] = np.where(number % 3 > 0, 50, 100)

    line = copied(ran, tmp_path, change).loc[("squares", 0.2)]
    assert (line["query_budget"], line["success_at_100"]) == (100, pytest.approx(1 / 3, abs=0.1))
    assert np.isnan(line["median_queries"])
    assert line["restricted_mean_queries"] == 100


def test_success_is_what_was_judged_and_not_what_was_asked(ran, tmp_path):
    def change(attack, examples):
        if attack == "squares":  # One that the judge finds right in spite of a query, and one fooled by none.
            examples["correct"], examples["found_at"] = True, 7
            examples.loc[examples["index"] == examples["index"].max(), ["correct", "found_at"]] = [False, 0]
        elif attack == "walk":
            examples["l2"] = np.inf

    table = copied(ran, tmp_path, change)
    rows = examples_of(tmp_path, "squares")
    rows = rows[rows["strength"] == 0.2]
    fooled = rows[~rows["correct"]]
    assert len(fooled) > 0
    assert table.loc[("squares", 0.2)]["found"] == len(fooled)
    line = table.loc[("squares", 0.2)]
    spent = np.where(rows["correct"], line["query_budget"], rows["queries"])
    assert line["restricted_mean_queries"] == pytest.approx(spent.mean())
    assert (table.loc["walk"]["found"] == 0).all()


def test_a_distance_is_within_a_strength_as_measurements_count_it():
    """The float32 next to 0.3 lies above it, and so does an adversarial at that distance."""
    row = {"index": 0, "label": 1, "clean_prediction": 1, "queries": 5, "l2": np.float32(0.3), "distance_at_half": 9.0}
    distances = {f"distance_at_{count}": np.float32(0.3) for count in CHECKPOINTS}
    for strength, found in ((0.3, 0), (0.31, 1)):
        spec = {"strengths": [0.0, strength], "strength": "l2", "evaluation": {"budget": 100}}
        (line,) = attack_lines([pd.DataFrame([row | distances]).astype(dict.fromkeys(distances, "float32"))], spec)
        assert (line["found"], line["success_at_100"]) == (found, found)


@pytest.mark.parametrize(("kind", "found"), [("l2", 0), ("linf", 1)])
def test_success_is_judged_by_the_norm_of_the_attack(kind, found):
    row = {"index": 0, "label": 1, "clean_prediction": 1, "queries": 5, "l2": 0.9, "linf": 0.1, "distance_at_half": 9.0}
    spec = {"strengths": [0.0, 0.2], "strength": kind, "evaluation": {"budget": 100}}
    distances = {f"distance_at_{count}": row[kind] for count in CHECKPOINTS}
    (line,) = attack_lines([pd.DataFrame([row | distances])], spec)
    assert (line["found"], line["success_at_100"]) == (found, found)


def test_a_success_counts_no_more_queries_than_were_asked(ran, tmp_path):
    """Between two checkpoints a distance is known at the next one only; a walk that ended before it asked fewer."""

    def change(attack, examples):
        if attack == "walk":
            examples["l2"], examples["queries"] = 1.0, 15
            for count in CHECKPOINTS:
                examples[f"distance_at_{count}"] = np.inf if count < 15 else 1.0

    line = copied(ran, tmp_path, change).loc[("walk", 1.5)]
    assert (line["median_queries"], line["restricted_mean_queries"], line["query_budget"]) == (15, 15, 15)
