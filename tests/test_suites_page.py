"""docs/suites.md names every suite with its threat groups, and its ranges are those that the catalogue states."""

import re
from pathlib import Path

import numpy as np
import pytest

from robustbench_pix.catalogue.specs import NO_ACCESS, THREATS
from robustbench_pix.catalogue.workspace import Workspace
from studies.ranges import TASKS, Range, catalogue_table, crossing, find_range, levels, rounded

PAGE = (Path(__file__).parents[1] / "docs/suites.md").read_text()
WORKSPACE = Workspace(Path(__file__).parent)


def test_the_table_of_ranges_is_that_of_the_catalogue():
    assert PAGE.partition("<!-- python studies/ranges.py --table -->\n")[2] == catalogue_table()


def test_every_suite_stands_there_with_its_threat_groups():
    rows = {match[1]: match[2] for match in re.finditer(r"^\| `(\w+)`.*\| ([^|]+) \|$", PAGE, re.MULTILINE)}
    for name in WORKSPACE.names("attacks/suites"):
        accesses = [WORKSPACE.attack(attack).access for attack in WORKSPACE.suite(name).attacks]
        assert rows[name].split(", ") == list(dict.fromkeys(THREATS[access] for access in accesses)), name


@pytest.mark.parametrize("name", WORKSPACE.names("attacks/suites"))
@pytest.mark.parametrize("task", TASKS)
def test_rivals_for_the_lowest_auc_share_one_range(name, task):
    ranges = {}
    for spec in map(WORKSPACE.attack, WORKSPACE.suite(name).attacks):
        strengths = spec.strengths_for(task)
        if spec.access != NO_ACCESS and strengths:
            known = ranges.setdefault((spec.access, spec.strength), (spec.range_from(task), strengths[-1]))
            assert (spec.range_from(task), strengths[-1]) == known, spec.name


@pytest.mark.parametrize(("middle", "width"), [(0.3, 0.05), (0.6, 0.02), (0.08, 0.01)])
def test_the_rule_finds_where_a_curve_leaves_95_and_10_percent_above_chance(middle, width):
    chance, clean = 0.1, 0.96

    def share(strength):
        return (1 + np.exp(-middle / width)) / (1 + np.exp((strength - middle) / width))

    found = find_range(lambda strengths: chance + (clean - chance) * share(strengths), chance, 1.0)
    # The share is 95% and 10% where the logistic is so, by its inverse.
    exact = [middle + width * np.log((1 + np.exp(-middle / width)) / kept - 1) for kept in (0.95, 0.10)]
    assert found == pytest.approx(exact, abs=0.03 * middle)
    assert levels(clean, chance) == pytest.approx((0.917, 0.186))


def test_a_curve_that_does_not_fall_so_far_ends_at_the_largest_strength():
    found = find_range(lambda strengths: 0.9 - 0.3 * strengths, 0.1, 2.0)
    assert found == (pytest.approx(0.04 / 0.3, abs=1e-9), 2.0)
    assert rounded(Range(found.low, 1.999), 1.5) == (0.13, 1.5)


def test_a_curve_that_begins_to_fall_at_once_and_is_never_wrong_again_is_read_at_its_first_fall():
    strengths, accuracy = np.array([0.0, 0.1, 0.2, 0.3]), np.array([0.9, 0.4, 0.6, 0.1])
    assert crossing(strengths, accuracy, 0.5) == pytest.approx(0.08)
    assert np.isnan(crossing(strengths, accuracy, 0.05))
