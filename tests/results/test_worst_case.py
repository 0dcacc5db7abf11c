"""The pointwise worst case: by loops over images, from made outcomes and from real runs, and that nothing counts it."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import robustbench_pix as rbp
from robustbench_pix.leaderboard.captions import measuring_facts
from robustbench_pix.results.columns import WORST_CASE
from robustbench_pix.results.from_runs import measured as measured_of
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.measured import settings
from robustbench_pix.results.statistics.worst_case import outcome, worst_case
from robustbench_pix.runs.plan_store import save_plan, saved_rows
from robustbench_pix.runs.store import Store
from tests.workspaces import tiny_workspace

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
MEASURED = {"access": "none", "attack_id": "a", "attack_hash": "b", "version": "1", "torch": "2", "device": "cpu"}


def fixed(images, strengths, repetitions=1, seed=0):
    random = np.random.default_rng(seed)
    lines = [
        {"index": index, "repetition": repetition, "strength": strength, "label": 0, "failed": index == images[1]}
        | {"clean_prediction": 0, "correct": random.random() > strength / strengths[-1] / 2}
        for strength in strengths
        for repetition in range(repetitions)
        for index in images
    ]
    return pd.DataFrame(lines).assign(prediction=0), {"strengths": strengths, "strength": "sigma"}


def minimal(images, largest, repetitions=1, seed=0):
    random = np.random.default_rng(seed)
    lines = [
        {
            "index": index,
            "repetition": repetition,
            "strength": np.nan,
            "label": 0,
            "clean_prediction": int(place % 4 == 0),
        }
        | {"l2": random.uniform(0, 1.5 * largest), "linf": 0.0, "distance_at_half": 9.0, "failed": False}
        for repetition in range(repetitions)
        for place, index in enumerate(images)
    ]
    return pd.DataFrame(lines).assign(prediction=0), {"strengths": [0.0, largest], "strength": "l2"}


def loops(share, parts):
    """Return for each image that all judged whether it is correct under every attack at a share."""
    common = set.intersection(*(set(examples["index"]) for examples, _ in parts))
    stays = {}
    for index in common:
        stays[index] = True
        for examples, attack in parts:
            start, largest = attack.get("range_from", 0.0), attack["strengths"][-1]
            limit = (1 - share) * start + share * largest if share > 0 else 0.0
            listed = max(strength for strength in attack["strengths"] if strength <= limit + 1e-12)
            for row in examples[examples["index"] == index].to_dict("records"):
                if "distance_at_half" in row:
                    norm = "linf" if attack["strength"] == "linf" else "l2"
                    stays[index] &= row["label"] == row["clean_prediction"] and row[norm] > limit
                elif row["strength"] == listed:
                    stays[index] &= row["correct"]
    return stays


@pytest.mark.parametrize("starts", [(), (0.1, 0.02, 1.0)])
def test_rows_are_what_loops_over_images_find(starts):
    parts = [
        fixed(range(0, 40), [0.0, 0.1, 0.2, 0.3], repetitions=2),
        fixed(range(10, 60), [0.0, 0.02, 0.05, 0.08], seed=1),
        minimal(range(5, 45), 2.0, repetitions=2),
    ]  # fmt: skip
    for (_, attack), start in zip(parts, starts, strict=False):
        attack["range_from"] = start
    accesses = ("none", "transfer", "decisions")
    outcomes = [outcome(MEASURED | {"access": access}, *part) for access, part in zip(accesses, parts, strict=True)]
    rows = worst_case(outcomes)
    assert [row["strength"] for row in rows] == list(SHARES)
    for row in rows:
        stays = loops(row["strength"], parts)
        assert (row["n"], row["correct"]) == (30, sum(stays.values()))
        assert row["accuracy"] == row["correct"] / 30
    accuracies = [row["accuracy"] for row in rows]
    assert len(set(accuracies)) > 2
    assert [row["area"] for row in rows] == pytest.approx(
        [np.trapezoid(accuracies[:end], SHARES[:end]) for end in range(1, 6)]
    )
    assert {row["access"] for row in rows} == {"decisions"}
    assert {row["failed"] for row in rows} == {1}
    assert rows[-1]["success_rate"] == pytest.approx(1 - rows[-1]["correct"] / rows[0]["correct"])


def test_a_share_that_rounding_puts_below_a_listed_strength_is_that_strength():
    strengths = [0.0, 0.3, 0.6, 0.9, 1.2]
    assert 0.75 * 1.2 < 0.9
    examples = pd.DataFrame(
        {"index": 0, "prediction": 0, "strength": strengths, "correct": [True, True, True, False, False]}
    )
    examples["failed"] = False
    found = outcome(MEASURED, examples, {"strengths": strengths, "strength": "sigma"}).correct
    assert found.loc[0, list(SHARES)].tolist() == [True, True, True, False, False]


@pytest.mark.parametrize(("kind", "stays"), [("linf", [1, 1, 0, 0, 0]), ("l2", [1, 1, 1, 1, 0])])
def test_a_minimal_distance_is_read_in_the_norm_of_the_attack_and_falls_where_it_lies(kind, stays):
    row = {"index": 0, "label": 0, "clean_prediction": 0, "linf": 0.5, "l2": 1.0, "distance_at_half": 9.0}
    attack = {"strengths": [0.0, 1.0], "strength": kind}
    found = outcome(MEASURED, pd.DataFrame([row | {"failed": False, "prediction": 0}]), attack).correct
    assert found.loc[0, list(SHARES)].tolist() == stays


def test_success_is_of_what_was_correct_and_one_failure_of_an_image_is_a_failure():
    lines = [
        {"index": index, "repetition": repetition, "strength": strength, "correct": index > (1 if strength else 0)}
        | {"failed": (index, repetition, strength) == (3, 1, 1.0)}
        for index in range(4)
        for repetition in range(2)
        for strength in (0.0, 1.0)
    ]
    attacked = outcome(
        MEASURED, pd.DataFrame(lines).assign(prediction=0), {"strengths": [0.0, 1.0], "strength": "sigma"}
    )
    rows = worst_case([attacked, attacked])
    assert [row["correct"] for row in rows] == [3, 3, 3, 3, 2]
    assert [row["success_rate"] for row in rows] == pytest.approx([0, 0, 0, 0, 1 / 3])
    assert {row["failed"] for row in rows} == {1}


def test_one_attack_or_no_common_image_has_no_worst_case():
    one, other = (outcome(MEASURED, *fixed(images, [0.0, 1.0])) for images in (range(9), range(20, 29)))
    distance_only = outcome(MEASURED, minimal(range(9), 1.0)[0], {"strengths": [], "strength": "l2"})
    assert worst_case([one]) == worst_case([one, distance_only]) == worst_case([one, other]) == []
    assert len(worst_case([one, one])) == 5


@pytest.fixture(scope="module")
def ran(tmp_path_factory, finished_jobs):
    root = tmp_path_factory.mktemp("workspace")
    tiny_workspace(root)
    rbp.run(
        suite="tiny", recipes=["unregularized", "pixel"], on="tiny", seeds=2, workspace=root, executor="inline",
        data_root=root / "data",
    )  # fmt: skip
    return Store(root / "runs")


def test_runs_have_the_worst_case_of_their_examples(ran):
    measured, lines, _ = measured_of(saved_rows(ran), ran)
    worst = measured[measured["attack"] == WORST_CASE]
    assert len(worst) == 2 * 2 * 5
    for model, rows in worst.groupby("model_id"):
        parts = []
        for folder in ran.root.glob("attack-*"):
            spec = json.loads((folder / "spec.json").read_text())
            if spec["needs"][0] == f"train-{model}":
                parts.append((pd.read_parquet(folder / "examples.parquet"), spec["identity"]["attack"]))
        assert len(parts) == 3
        expected = [sum(loops(share, parts).values()) for share in SHARES]
        assert rows["correct"].tolist() == expected
    leaderboard = build_leaderboard(settings(measured, lines)).set_index("recipe")
    areas = worst[worst["strength"] == 1].groupby("recipe")["area"].mean()
    assert leaderboard["worst_case"].to_dict() == pytest.approx(areas.to_dict())


def test_nothing_else_counts_it(ran):
    measured, lines, _ = measured_of(saved_rows(ran), ran)
    without = measured[measured["attack"] != WORST_CASE]
    ours, theirs = (build_leaderboard(settings(table, lines)) for table in (measured, without))
    assert theirs["worst_case"].isna().all()
    pd.testing.assert_frame_equal(ours.drop(columns="worst_case"), theirs.drop(columns="worst_case"))
    assert measuring_facts(ours, measured) == measuring_facts(theirs, without)


def test_its_hashes_do_not_depend_on_how_the_seeds_came(ran, tmp_path):
    """Two plans of a seed each, as of one plan of both: the attacks are in the order of the suite."""
    (row, *_) = rows = saved_rows(ran)
    assert [run.attack for run in row.runs[:3]] == ["gaussian", "transfer-fgsm", "boundary"]
    for seed in (1, 0):
        facts = [{**row.facts, "seed_list": str(seed)} for row in rows]
        runs = [tuple(run for run in row.runs if run.seed == seed) for row in rows]
        parts = [replace(row, facts=of, runs=own) for row, of, own in zip(rows, facts, runs, strict=True)]
        save_plan(parts, Store(tmp_path))
    again = {row.recipe: row for row in saved_rows(Store(tmp_path))}
    assert again == {row.recipe: row for row in rows}


def test_a_model_that_lacks_an_attack_has_no_worst_case(ran):
    rows = saved_rows(ran)
    lost, *others = rows[0].runs
    rows[0] = replace(rows[0], runs=(replace(lost, run="attack-gone"), *others))
    measured, _, _ = measured_of(rows, ran)
    worst = measured[measured["attack"] == WORST_CASE]
    assert len(worst) == 3 * 5
    assert lost.model.partition("-")[2] not in set(worst["model_id"])
