"""Measurements against loops over the examples, for every kind of attack under both protocols."""

import math
from statistics import median

import numpy as np
import pandas as pd
import pytest

from robustbench_pix.results.measuring import measure
from tests.attacks.toys import Quadrants, decisions_of, entry, gray_images, run_entry

ENTRIES = 64
STRENGTHS = (0.0, 0.1, 0.3, 0.5)


def spec_of(
    strengths=STRENGTHS, attack="gaussian-noise", kind="sigma", access="none", protocol="strict", dependent=False
):
    attack = {"attack": attack, "access": access, "strength": kind, "strengths": list(strengths)}
    attack["evaluation"] = {"repetitions": 2}
    identity = {"attack": attack, "protocol": protocol}
    context = {"entries": ENTRIES, "batch_dependent": dependent}
    return {"identity": identity, "context": context, "version": "1", "torch": "2", "device": "cpu"}


def fixed_examples(key=0, count=37, repetitions=2, failures=0.0, strict=True):
    random, rows = np.random.default_rng(key), []
    for index in range(count):
        label, clean = int(random.integers(3)), int(random.integers(3))
        for repetition in range(repetitions):
            for strength in STRENGTHS:
                prediction = clean if strength == 0 else int(random.integers(3))
                correct = prediction == label and (clean == label or not strict)
                outcome = {"prediction": prediction, "correct": correct, "failed": random.random() < failures}
                where = {"index": index, "repetition": repetition, "strength": strength}
                known = {"label": label, "clean_prediction": clean, "queries": int(random.integers(50))}
                norms = {"l2": strength * random.random(), "linf": strength * random.random()}
                rows.append(where | known | outcome | norms)
    return typed(rows)


def minimal_examples(key=0, count=37, repetitions=2, unsolved=0.2, strict=True, fall=1.0, queries=(3000, 5000)):
    random, rows = np.random.default_rng(key), []
    for index in range(count):
        label, clean = int(random.integers(3)), int(random.integers(3))
        for repetition in range(repetitions):
            row = {"index": index, "repetition": repetition, "strength": np.nan, "label": label}
            row |= {"clean_prediction": clean, "prediction": (clean + 1) % 3, "queries": int(random.integers(*queries))}
            row |= {"queries_at_half": 2048, "failed": False, "correct": False}
            row |= {"l2": 0.6 * random.random(), "linf": 0.3 * random.random()}
            if random.random() < unsolved:
                row |= {"l2": np.inf, "linf": np.inf, "failed": True, "correct": label == clean, "prediction": clean}
            if strict and label != clean:
                nothing = dict.fromkeys(("l2", "linf", "queries", "queries_at_half"), 0)
                row |= {"failed": False, "correct": False, "prediction": clean, **nothing}
            rows.append(row | {"distance_at_half": row["l2"] * fall})
    return typed(rows)


def typed(rows):
    kinds = {"l2": "float32", "linf": "float32", "distance_at_half": "float32", "index": "int32", "queries": "int32"}
    examples = pd.DataFrame(rows)
    return examples.astype({name: kind for name, kind in kinds.items() if name in examples})


def finite(value):
    return value if math.isfinite(value) else math.nan


def shares(rows, strict):
    """Return what does not depend on a strength's accuracy: medians, the paper's distance, queries."""
    counted = [row for row in rows if not strict or row["label"] == row["clean_prediction"]]
    squares = {}
    for row in counted:
        if math.isfinite(row["l2"]):
            squares.setdefault(row["repetition"], []).append(row["l2"] ** 2 / ENTRIES)
    return {
        "median_l2": finite(median(row["l2"] for row in counted)),
        "median_linf": finite(median(row["linf"] for row in counted)),
        "median_squared_l2_per_pixel": sum(map(median, squares.values())) / len(squares) if squares else math.nan,
        "mean_queries": sum(row["queries"] for row in counted) / len(counted),
    }


def agree(measured, expected):
    assert len(measured) == len(expected)
    for got, want in zip(measured, expected, strict=True):
        for name, value in want.items():
            assert got[name] == pytest.approx(value, nan_ok=True, rel=1e-6), (want["strength"], name)


@pytest.mark.parametrize("protocol", ["strict", "paper"])
@pytest.mark.parametrize("key", range(4))
def test_fixed_strengths_against_loops(protocol, key):
    strict = protocol == "strict"
    examples = fixed_examples(key, failures=0.1, strict=strict)
    expected, area, before = [], 0.0, None
    for strength in STRENGTHS:
        rows = [row for row in examples.to_dict("records") if row["strength"] == strength]
        correct = sum(row["correct"] for row in rows)
        if before is not None:
            area += (strength - before[0]) * (correct / len(rows) + before[1]) / 2
        before = strength, correct / len(rows)
        could = [row for row in rows if row["label"] == row["clean_prediction"]]
        facts = {"n": len(rows), "correct": correct, "failed": sum(row["failed"] for row in rows)}
        facts |= {"strength": strength, "accuracy": correct / len(rows), "area": area}
        facts |= {"success_rate": sum(not row["correct"] for row in could) / len(could)}
        expected.append(facts | shares(rows, strict))
    agree(measure(examples.sample(frac=1, random_state=key), spec_of(protocol=protocol)), expected)


@pytest.mark.parametrize("protocol", ["strict", "paper"])
@pytest.mark.parametrize("kind", ["l2", "linf"])
@pytest.mark.parametrize("key", range(3))
def test_minimal_distances_against_loops(protocol, kind, key):
    strict = protocol == "strict"
    examples = minimal_examples(key, strict=strict)
    rows, expected = examples.to_dict("records"), []
    could = [row for row in rows if row["label"] == row["clean_prediction"]]
    for strength in STRENGTHS:
        correct = sum(row[kind] > strength for row in could)
        facts = {"strength": strength, "n": len(rows), "correct": correct, "failed": sum(row["failed"] for row in rows)}
        facts |= {"accuracy": correct / len(rows), "success_rate": 1 - correct / len(could)}
        facts["area"] = sum(min(row[kind], strength) for row in could) / len(rows)
        expected.append(facts | shares(rows, strict))
    spec = spec_of(attack="x", kind=kind, access="decisions", protocol=protocol)
    agree(measure(examples.sample(frac=1, random_state=key), spec), expected)


def from_range(start, **options):
    spec = spec_of(**options)
    spec["identity"]["attack"]["range_from"] = start
    return spec


def test_the_area_of_given_strengths_is_the_trapezoid_from_the_begin_of_the_range():
    rows = measure(fixed_examples(3), from_range(0.1))
    accuracy = np.array([row["accuracy"] for row in rows])
    assert accuracy[0] != accuracy[1]
    expected = [0.0, 0.0, *(np.trapezoid(accuracy[1:end], STRENGTHS[1:end]) for end in (3, 4))]
    np.testing.assert_allclose([row["area"] for row in rows], expected, rtol=1e-12)
    assert {row["range_from"] for row in rows} == {0.1}


def test_the_area_of_distances_from_the_begin_of_the_range_is_exact():
    examples = minimal_examples(4)
    rows = measure(examples, from_range(0.1, attack="x", kind="l2", access="decisions"))
    clean = examples["label"] == examples["clean_prediction"]
    distances = examples.loc[clean, "l2"].to_numpy(float)
    for row, strength in zip(rows, STRENGTHS, strict=True):
        if strength <= 0.1:
            assert row["area"] == 0
            continue
        # The share further away than a strength is constant between distances: sum its steps.
        edges = np.unique(np.concatenate([[0.1, strength], distances[(distances > 0.1) & (distances < strength)]]))
        shares = [(distances >= upper).sum() / len(examples) for upper in edges[1:]]
        assert row["area"] == pytest.approx(np.dot(np.diff(edges), shares), rel=1e-9)


def test_an_attack_without_a_range_counts_from_0():
    assert {row["range_from"] for row in measure(fixed_examples(), spec_of())} == {0.0}


def test_the_area_of_distances_is_the_integral_of_the_accuracy():
    examples = minimal_examples(5)
    fine = np.linspace(0, 0.5, 4_001)
    rows = measure(examples, spec_of(strengths=fine, attack="x", kind="l2", access="decisions"))
    accuracy = np.array([row["accuracy"] for row in rows])
    assert rows[-1]["area"] == pytest.approx(accuracy[:-1].mean() * 0.5, abs=1e-3)
    assert accuracy[0] == pytest.approx((examples["label"] == examples["clean_prediction"]).mean())


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_a_distance_only_attack_has_no_accuracy(protocol):
    strict = protocol == "strict"
    examples = minimal_examples(2, strict=strict)
    spec = spec_of((), "foolbox:BoundaryAttack", "l2", "decisions", protocol)
    (row,) = measure(examples, spec)
    agree([row], [shares(examples.to_dict("records"), strict) | {"strength": math.nan, "n": len(examples)}])
    assert row["correct"] is pd.NA
    assert all(math.isnan(row[name]) for name in ("accuracy", "area", "success_rate"))


def test_medians_in_which_most_images_failed_are_empty():
    examples = minimal_examples(unsolved=0.7)
    (row,) = measure(examples, spec_of((), "x", "l2", "decisions"))
    assert math.isnan(row["median_l2"])
    assert math.isnan(row["median_linf"])
    assert row["median_squared_l2_per_pixel"] > 0


def flags(examples, **spec):
    found = {row["flags"] for row in measure(examples, spec_of(**spec))}
    assert len(found) == 1
    return found.pop()


def test_no_flags_where_there_is_nothing_to_say():
    assert flags(fixed_examples()) == ""
    assert flags(minimal_examples(unsolved=0), attack="x", kind="l2", access="decisions") == ""


def test_failures_above_one_in_a_hundred_are_flagged():
    examples = fixed_examples(count=100)
    assert (examples["strength"] == STRENGTHS[1]).sum() == 200
    place = examples.groupby("strength").cumcount()
    examples["failed"] = place < 2
    assert flags(examples) == ""
    examples["failed"] = (place < 30) & (examples["strength"] == STRENGTHS[1])
    assert flags(examples) == "failed on 15%"


@pytest.mark.parametrize("protocol", ["strict", "paper"])
@pytest.mark.parametrize(("fall", "converged"), [(1.0, True), (1.08, True), (1.2, False), (np.inf, False)])
def test_a_fall_of_more_than_a_tenth_over_the_last_doubling_is_flagged(protocol, fall, converged):
    """4096 queries are one doubling of 2048, after which the median distance was ``fall`` times as large."""
    examples = minimal_examples(unsolved=0, fall=fall, queries=(4096, 4097), strict=protocol == "strict")
    found = flags(examples, attack="x", kind="l2", access="decisions", protocol=protocol)
    assert found == ("" if converged else "not converged")


def test_a_fall_over_two_doublings_counts_for_each():
    spec = {"attack": "x", "kind": "l2", "access": "decisions"}
    for fall, found in ((1.2, ""), (1.3, "not converged")):
        assert flags(minimal_examples(unsolved=0, fall=fall, queries=(8192, 8193)), **spec) == found


@pytest.mark.parametrize(
    ("fall", "inflation", "found"),
    [
        (1.2, 1.3, "not converged"),
        (1.2, 1.1, ""),
        (1.05, 1.3, "ended above 1.2 times the smallest known distance"),
        (1.05, 1.1, ""),
    ],
)
def test_an_attack_that_queries_do_not_help_has_converged_however_far(fall, inflation, found):
    examples = minimal_examples(unsolved=0, fall=fall, queries=(4096, 4097))
    rows = measure(examples, spec_of(attack="x", kind="l2", access="decisions"), inflation)
    assert {row["flags"] for row in rows} == {found}


def test_a_distance_found_on_a_source_model_takes_no_queries():
    examples = minimal_examples(unsolved=0).assign(queries=0, queries_at_half=32)
    assert flags(examples, attack="x", kind="l2", access="transfer") == ""


def test_an_attack_that_ends_before_the_first_checkpoint_is_not_flagged():
    examples = minimal_examples(unsolved=0, queries=(4, 10)).assign(queries_at_half=32)
    assert flags(examples, attack="x", kind="l2", access="gradients") == ""


def test_engines_say_what_is_known_of_them():
    examples = minimal_examples(unsolved=0)
    spec = {"kind": "l2", "access": "decisions"}
    assert flags(examples, attack="foolbox:BoundaryAttack", dependent=True, **spec) == "depends on batch"
    assert flags(examples, attack="art:HopSkipJump", **spec) == ""
    both = flags(examples, attack="foolbox:PointwiseAttack", dependent=True, **spec)
    assert both.startswith("depends on batch; draws pixel orders from numpy for the whole batch")


def test_facts_of_the_run_are_in_every_row():
    rows = measure(fixed_examples(), spec_of())
    assert {(row["access"], row["strength_kind"], row["repetitions"]) for row in rows} == {("none", "sigma", 2)}
    assert len({row["attack_id"] for row in rows}) == 1
    other = measure(fixed_examples(), spec_of(protocol="paper"))
    assert other[0]["attack_id"] != rows[0]["attack_id"]
    assert other[0]["attack_hash"] == rows[0]["attack_hash"]


@pytest.mark.parametrize("protocol", ["strict", "paper"])
@pytest.mark.parametrize(
    ("attack", "access", "kind", "parameters"),
    [
        ("gaussian-noise", "none", "sigma", {}),
        ("foolbox:LinfPGD", "gradients", "linf", {"steps": 3}),
        ("foolbox:BoundaryAttack", "decisions", "l2", {"steps": 100}),
    ],
)
def test_what_evaluate_gives_can_be_measured(attack, access, kind, parameters, protocol):
    network, images = Quadrants(), gray_images(12)
    labels = decisions_of(network, images)
    labels[[2, 7]] = (labels[[2, 7]] + 1) % 4
    spec = entry(attack, access, kind, **parameters)
    strengths = (0.0, 0.02, 0.2)
    examples = run_entry(spec, network, images, labels, strengths=strengths, protocol=protocol, repetitions=2)
    rows = measure(examples, spec_of(strengths, attack, kind, access, protocol))
    assert [row["n"] for row in rows] == [24, 24, 24]
    assert rows[0]["correct"] == 20
    assert rows[0]["success_rate"] == 0
    assert 0 < rows[2]["area"] < 0.2


def test_a_distance_equal_to_a_strength_is_within_it():
    examples = minimal_examples(unsolved=0).assign(l2=0.3)
    rows = measure(examples, spec_of(attack="x", kind="l2", access="decisions"))
    clean = int((examples["label"] == examples["clean_prediction"]).sum())
    assert [row["correct"] for row in rows] == [clean, clean, 0, 0]
    assert [row["success_rate"] for row in rows] == [0, 0, 1, 1]
