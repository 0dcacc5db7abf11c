"""Ranges of strengths from the catalogue to the score: a real run, its published folder, and forgeries of it."""

import json

import numpy as np
import pytest

import robustbench_pix as rbp
from robustbench_pix.results.columns import WORST_CASE
from robustbench_pix.results.from_runs import measured as measured_of
from robustbench_pix.results.published.verification import verify
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.measured import settings
from robustbench_pix.runs.plan_store import saved_rows
from robustbench_pix.runs.store import Store
from tests.leaderboard.conftest import Table
from tests.leaderboard.conftest import rbp as command
from tests.workspaces import tiny_workspace

GAUSSIAN = {"recipe": "unregularized", "seed": 0, "attack": "gaussian"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, finished_jobs):
    """Give a published workspace whose noise and distances have ranges that begin above 0."""
    root = tiny_workspace(tmp_path_factory.mktemp("ranges"))
    for name, old, new in (
        ("gaussian", "[0.0, 0.2, 0.4]", "{ from = 0.2, to = 0.6, count = 3 }"),
        ("boundary", "[0.0, 1.0, 2.0]", "{ from = 0.5, to = 2.0, count = 4 }"),
    ):
        path = root / f"attacks/{name}.toml"
        path.write_text(path.read_text().replace(old, new))
    rbp.run(suite="tiny", recipes=["unregularized"], on="tiny", seeds=2, workspace=root, executor="inline")
    assert command("publish", "--workspace", root).exit_code == 0
    return root


@pytest.fixture
def forged(folder, tmp_path):
    """Give a copy of measurements.csv, to be spoilt, among copies of the other published files."""
    for path in (folder / "leaderboard").iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    return Table(tmp_path / "measurements.csv")


def found(forged):
    return {finding.column for finding in verify(forged.file.parent) if finding.file == "measurements.csv"}


def test_the_identity_states_a_range_only_where_one_begins_above_0(folder):
    specs = [json.loads(path.read_text()) for path in folder.glob("runs/attack-*/spec.json")]
    begins = {spec["context"]["attack"]: spec["identity"]["attack"].get("range_from") for spec in specs}
    assert begins == {"gaussian": 0.2, "transfer-fgsm": None, "boundary": 0.5}


def test_robustness_is_the_mean_accuracy_over_the_range_and_the_score_that_over_groups(folder):
    store = Store(folder / "runs")
    measured, lines, _ = measured_of(saved_rows(store), store)
    row = build_leaderboard(settings(measured, lines)).iloc[0]
    aucs = {}
    for (attack, seed), rows in measured.groupby(["attack", "seed"]):
        if attack in ("gaussian", "transfer-fgsm"):
            start = rows["range_from"].iloc[0]
            inside = rows[rows["strength"] >= start]
            area = np.trapezoid(inside["accuracy"], inside["strength"])
            aucs[attack, seed] = area / (inside["strength"].iloc[-1] - start)
        elif attack == "boundary":
            aucs[attack, seed] = rows["area"].iloc[-1] / 1.5
    for attack in ("gaussian", "transfer-fgsm", "boundary"):
        assert row[f"auc_{attack}"] == pytest.approx(np.mean([aucs[attack, seed] for seed in (0, 1)]))
    # One attack a group, so that the mean over groups is the mean over attacks.
    assert row["mean_auc"] == pytest.approx(np.mean(list(aucs.values())))
    assert (measured.loc[measured["attack"] == WORST_CASE, "range_from"] == 0).all()


def test_what_was_published_is_in_order(folder):
    assert [str(finding) for finding in verify(folder / "leaderboard")] == []


@pytest.mark.parametrize("start", ["0", "0.4", "0.3", "0.6", "-1", ""])
def test_another_range_is_found(forged, start):
    forged.write(forged.where(attack="gaussian"), range_from=start)
    assert "range_from" in found(forged)


def test_another_range_with_the_areas_that_belong_to_it_is_found(forged):
    places = forged.where(attack="gaussian")
    assert len(places) == 8
    for begin in (places[:4], places[4:]):
        accuracy = [forged.number(place, "accuracy") for place in begin]
        strengths = [forged.number(place, "strength") for place in begin]
        for end, place in enumerate(begin):
            forged.write([place], range_from=0.0, area=float(np.trapezoid(accuracy[: end + 1], strengths[: end + 1])))
    assert found(forged) == {"range_from"}


def test_area_below_the_range_is_found(forged):
    place = forged.where(**GAUSSIAN)[1]
    assert forged.number(place, "strength") == forged.number(place, "range_from") == 0.2
    for later in forged.where(**GAUSSIAN)[1:]:
        forged.write([later], area=forged.number(later, "area") + 0.05)
    assert found(forged) == {"area"}


def test_other_strengths_than_the_provenance_has_are_found(forged):
    places = forged.where(attack="gaussian", strength="0.4")
    for place in places:
        before = place - 1
        width = (forged.number(place, "accuracy") + forged.number(before, "accuracy")) / 2
        after = (forged.number(place, "accuracy") + forged.number(place + 1, "accuracy")) / 2
        area = 0.3 * width
        forged.write([place], strength="0.5", area=area)
        forged.write([place + 1], area=area + 0.1 * after)
    assert "strength" in found(forged)
