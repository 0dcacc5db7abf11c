"""The second table of a setting: effective robustness, worst case, eps50 and costs."""

import numpy as np
import pytest
from scipy import optimize, stats

from robustbench_pix.leaderboard.display_table import settings_of
from robustbench_pix.leaderboard.recipe_tables import cost_table, robustness_table
from robustbench_pix.leaderboard.terminal.rich_tables import rich_tables
from robustbench_pix.results.columns import WORST_CASE
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.measured import settings
from tests.tables import ATTACKS, beside, measurements, rows

RECIPES = ("unregularized", "thresholded", "decorrelated", "neural")
SHOWN = ["thresholded", " decorrelated", "unregularized"]


@pytest.fixture(scope="module")
def measured():
    return measurements(recipes=RECIPES, attacks=(*ATTACKS, WORST_CASE))


def shown(measured, without=(), dropped="", width=160):
    """Return a dictionary a table: its columns by their headings, the recipes in ``SHOWN``'s order."""
    board = build_leaderboard(settings(measured, rows(recipes=RECIPES)))
    tables = rich_tables(second(measured, board, without), width, dropped)
    return [
        {" ".join(str(column.header).split()): [str(cell) for cell in column.cells] for column in table.columns}
        for table in tables
    ]


def second(measured, board, without=()):
    aucs, costs = beside(measured, board)
    (setting,) = settings_of(board, measured)
    costs = costs[~costs["recipe"].isin(without)]
    return robustness_table(setting, aucs).beside(cost_table(setting, costs))


def numbers(cell):
    return [float(line.strip("*+±").replace(",", "")) for line in cell.split("\n")]


def flat(measured, attack, seeds=(0, 1, 2), recipes=RECIPES, accuracy=0.9):
    """Return measurements in which an attack does nothing to some seeds of some recipes."""
    chosen = (measured["attack"] == attack) & measured["seed"].isin(seeds) & measured["recipe"].isin(recipes)
    return measured.assign(accuracy=measured["accuracy"].where(~chosen, accuracy))


def test_halving_strengths_and_their_intervals_are_those_of_scipy(measured):
    (table,) = shown(measured)
    assert table["recipe"] == SHOWN
    for name, cell in zip(SHOWN, table["boundary eps50 l2"], strict=True):
        of_recipe = measured[(measured["recipe"] == name.strip()) & (measured["attack"] == "boundary")]
        halves = []
        for _, curve in of_recipe.groupby("seed"):
            lost = curve["accuracy"].to_numpy(float) - curve["accuracy"].iloc[0] / 2
            halves.append(optimize.brentq(lambda at, lost=lost: np.interp(at, np.linspace(0, 0.5, 10), lost), 0, 0.5))
        half_width = stats.t.ppf(0.975, 2) * stats.sem(halves)
        assert numbers(cell) == pytest.approx([np.mean(halves), half_width], abs=5.1e-4)


def test_effective_robustness_and_worst_case_have_intervals(measured):
    (table,) = shown(measured)
    mean_auc, clean, worst = {}, {}, {}
    for recipe, of_recipe in measured.groupby("recipe"):
        areas = of_recipe.drop_duplicates(["seed", "attack"], keep="last").set_index(["attack", "seed"])["area"] / 0.5
        mean_auc[recipe] = areas[list(ATTACKS)].groupby("seed").mean()
        worst[recipe] = areas[WORST_CASE]
        starts = of_recipe[(of_recipe["attack"] == ATTACKS[0]) & (of_recipe["strength"] == 0)]
        clean[recipe] = starts.set_index("seed")["accuracy"]
    for place, name in enumerate(map(str.strip, SHOWN)):
        half_width = stats.t.ppf(0.975, 2) * stats.sem(worst[name])
        assert numbers(table["worst case"][place]) == pytest.approx([worst[name].mean(), half_width], abs=5.1e-4)
        retained = (mean_auc["unregularized"] - 0.1) / (clean["unregularized"] - 0.1)
        beyond = mean_auc[name] - 0.1 - (clean[name] - 0.1) * retained
        if name == "unregularized":
            assert table["effective"][place] == "–"
        else:
            half_width = stats.t.ppf(0.975, 2) * stats.sem(beyond)
            assert numbers(table["effective"][place]) == pytest.approx([beyond.mean(), half_width], abs=5.1e-4)
    best = np.argmax([worst[name.strip()].mean() for name in SHOWN])
    assert [cell.startswith("*") for cell in table["worst case"]] == [place == best for place in range(3)]
    assert table["effective"][best].startswith("*+")


def test_what_is_not_halved_says_so(measured):
    (table,) = shown(flat(measured, "uniform"))
    assert "uniform eps50 sigma" not in table
    assert "gaussian eps50 sigma" in table
    (table,) = shown(flat(measured, "uniform", recipes=["thresholded"]))
    assert table["uniform eps50 sigma"][0] == ">.5"
    assert table["uniform eps50 sigma"][1].startswith(".")
    (table,) = shown(flat(measured, "uniform", recipes=["decorrelated"], seeds=[1]))
    assert table["uniform eps50 sigma"][1] == "2 of 3"
    lost = measured[(measured["attack"] != "uniform") | (measured["recipe"] != "decorrelated")]
    assert shown(lost)[0]["uniform eps50 sigma"][1] == "–"


def test_costs_and_what_is_not_known_of_them(measured):
    queried = measured.assign(mean_queries=np.where(measured["attack"] == "boundary", 1234.4, 0.0))
    (table,) = shown(queried)
    assert table["training seconds"] == ["11.0", "12.0", "13.0"]
    assert table["attack seconds"] == ["1,100", "1,200", "1,300"]
    assert table["queries / image"] == ["1,234"] * 3
    assert shown(measured, without=["decorrelated"])[0]["training seconds"] == ["11.0", "–", "13.0"]
    (table,) = shown(measured, without=RECIPES)
    assert [name for name in table if "seconds" in name] == []


def test_a_board_of_one_recipe_without_worst_case_or_numbers():
    alone = measurements(recipes=["thresholded"], seeds=[0])
    assert not {"effective", "worst case"} & set(shown_alone(alone))
    assert shown_alone(alone)["gaussian eps50 sigma"][0].count("\n") == 0  # one seed has no interval
    nothing = alone.iloc[:0]
    assert second(nothing, build_leaderboard(settings(nothing, rows(recipes=["neural"])))).lines == []


def shown_alone(measured):
    board = build_leaderboard(settings(measured, rows(recipes=["thresholded"], seeds=[0])))
    (table,) = rich_tables(second(measured, board), 160)
    return {" ".join(str(column.header).split()): [str(cell) for cell in column.cells] for column in table.columns}


@pytest.mark.parametrize("width", [48, 80, 100, 160])
def test_every_column_is_there_once_at_every_width(measured, width):
    wide = {name: cells for table in shown(measured) for name, cells in table.items()}
    tables = shown(measured, width=width)
    columns = [name for table in tables for name in table if name != "recipe"]
    assert columns == [name for name in wide if name != "recipe"]
    assert all(table[name] == wide[name] for table in tables for name in table)


def test_headings_leave_out_what_all_attacks_share(measured):
    assert "pepper eps50 probability" in shown(measured, dropped="salt-and-")[0]
