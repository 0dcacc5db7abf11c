import numpy as np
import pytest

from robustbench_pix.results.checks.consistency import inconsistencies
from robustbench_pix.results.columns import MEASUREMENTS
from robustbench_pix.results.published.csv_io import as_published
from tests.tables import DISTANCE_ONLY, block, measurements


def distinct(table, *columns):
    """Return a hash for each combination of columns."""
    return table.groupby(list(columns), sort=False).ngroup().map("{:016x}".format)


def honest(scale=1.0, **options):
    """Return measurements with hashes of their own, in which a strength of 0 moves nothing."""
    table = measurements(attacks=("gaussian", DISTANCE_ONLY), **options)
    strength, area = table["strength"] * scale, table["area"] * scale
    table = table.assign(strength=strength, area=area, median_l2=strength, median_linf=strength / 2)
    table = table.assign(attack_hash=distinct(table, "attack"), model_id=distinct(table, "recipe", "seed"))
    return as_published(table.assign(attack_id=distinct(table, "recipe", "seed", "attack")), MEASUREMENTS)


@pytest.mark.parametrize("scale", [1.0, 2 / 3, 60.0, 1 / 7])
def test_ten_digits_are_enough_for_any_unit_of_strength(scale):
    assert inconsistencies(honest(scale)) == []


def test_an_attack_that_reports_a_distance_only_has_no_curve():
    table = honest()
    assert table["strength"].isna().any()
    assert inconsistencies(table[table["attack"] == DISTANCE_ONLY]) == []


def test_only_under_paper_an_attack_may_mend_what_was_wrong():
    for protocol, expected in (("paper", set()), ("strict", {"correct"})):
        table = honest(of=block(protocol=protocol), recipes=("pixel",), seeds=(0,))
        place = int(np.flatnonzero(table["strength"] > 0)[0])
        table.loc[place, "correct"] = int(table.loc[0, "correct"]) + 1
        table.loc[place, "accuracy"] = table.loc[place, "correct"] / table.loc[place, "n"]
        here = table["strength"].notna()
        width, accuracy = np.diff(table.loc[here, "strength"]), table.loc[here, "accuracy"].to_numpy()
        table.loc[here, "area"] = [0.0, *np.cumsum(width * (accuracy[1:] + accuracy[:-1]) / 2)]
        assert {finding.column for finding in inconsistencies(table)} == expected
