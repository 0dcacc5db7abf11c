import pandas as pd
import pytest

from robustbench_pix.results.columns import KEY
from robustbench_pix.results.corruptions import Grouping, accuracy_rows
from tests.tables import block

FOUND = {("digits", "gray"): Grouping({"a": 0.1, "b": 0.2, "c": 0.3}, (0.15, 0.25))}


def measurements(accuracies):
    """Return rows at severities 0, 1 and 2 of seeds and attacks, where an attack on a seed was measured at all."""
    return pd.DataFrame(
        block() | {"recipe": "r", "seed": seed, "attack": attack, "strength": strength, "accuracy": accuracy}
        for (seed, attack), curve in accuracies.items()
        for strength, accuracy in enumerate(curve)
    )


def test_a_seed_that_misses_a_corruption_is_left_out():
    whole = {(0, "a"): (1.0, 0.8, 0.6), (0, "b"): (1.0, 0.5, 0.3), (0, "c"): (1.0, 0.2, 0.0)}
    others = {(1, "a"): (0.5, 0.1, 0.1), (1, "b"): (0.5, 0.1, 0.1)}
    (row,) = accuracy_rows(measurements(whole | others), FOUND)
    assert set(KEY) < set(row)
    assert (row["seeds"], row["corruptions"], row["clean"], row["mean"]) == (1, 3, 1.0, 0.4)
    assert [row[group] for group in ("low", "medium", "high")] == [0.7, pytest.approx(0.4), 0.1]
    assert row["from"] is row["to"] is None


def test_nothing_whole_is_no_number():
    (row,) = accuracy_rows(measurements({(0, "a"): (1.0, 0.8, 0.6), (1, "b"): (1.0, 0.5, 0.3)}), FOUND)
    assert (row["seeds"], row["mean"], row["low"], row["high"]) == (0, None, None, None)
