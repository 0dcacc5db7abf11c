"""The matrix of a transfer attack: what is averaged over what, and what is absent."""

import numpy as np
import pandas as pd
import pytest

from robustbench_pix.leaderboard.paper.tex_files import matrix_tables
from robustbench_pix.results.transfer_matrix import matrix
from tests.leaderboard.latex_cells import read, value

RECIPES = ("a", "b", "c")
NAMES = [f"auc_{recipe}" for recipe in RECIPES]


def leaderboard(a, b, c, status="complete"):
    """Return what the board says of three victims, in the order of their ranks and not of the request."""
    rows = {"recipe": ["c", "a", "b"], "status": [status, "complete", "complete"], "auc_fgsm": [c, a, b]}
    return pd.DataFrame(rows)


VALUES = np.array([[0.5, 0.25, 0.75], [0.25, 0.5, 0.125], [0.125, 0.375, 1.0]])
SOURCES = [("a", "small", 0), ("a", "small", 1), ("x", "plain", 0)]


def made(values=VALUES, sources=SOURCES, **changes):
    return matrix(sources, [leaderboard(*row, **changes) for row in values], RECIPES, "fgsm")


def test_rows_are_sources_and_columns_are_victims():
    table = made()
    sources = table[table["statistic"] == "auc"]
    assert (
        list(sources[["source_recipe", "source_network", "source_seed"]].itertuples(index=False, name=None)) == SOURCES
    )
    np.testing.assert_array_equal(sources[NAMES], VALUES)
    np.testing.assert_allclose(sources["mean_robustness"], VALUES.mean(axis=1))
    assert sources["same_recipe"].tolist() == ["a", "a", ""]


def test_seeds_of_a_kind_have_a_mean_and_a_deviation():
    table = made()
    assert table["statistic"].tolist() == ["auc", "auc", "mean", "deviation", "auc", "mean"]
    assert table["source_recipe"].tolist() == ["a", "a", "a", "a", "x", "all"]
    assert table["source_seed"].isna().tolist() == [False, False, True, True, False, True]
    np.testing.assert_allclose(table.loc[2, NAMES].astype(float), (VALUES[0] + VALUES[1]) / 2)
    np.testing.assert_allclose(table.loc[3, NAMES].astype(float), abs(VALUES[0] - VALUES[1]) / 2**0.5)
    of_means = VALUES.mean(axis=1)
    assert table.loc[3, "mean_robustness"] == pytest.approx(abs(of_means[0] - of_means[1]) / 2**0.5)
    np.testing.assert_allclose(table.loc[5, NAMES].astype(float), VALUES.mean(axis=0))
    assert table.loc[5, "mean_robustness"] == pytest.approx(VALUES.mean())


def test_one_source_is_one_row():
    assert made(VALUES[:1], SOURCES[:1])["statistic"].tolist() == ["auc"]


def test_what_is_absent_makes_every_mean_of_it_absent():
    values = VALUES.copy()
    values[1, 1] = np.nan
    table = made(values)
    assert table[NAMES[1]].isna().tolist() == [False, True, True, True, False, True]
    assert table["mean_robustness"].isna().tolist() == [False, True, True, True, False, True]
    assert not table[NAMES[0]].isna().any()


def test_a_victim_that_was_not_run_has_no_column():
    values = VALUES.copy()
    values[:, 2] = np.nan
    table = made(values, status="not run")
    assert [name for name in table if name.startswith("auc_")] == NAMES[:2]
    assert table.loc[0, "mean_robustness"] == pytest.approx(VALUES[0, :2].mean())


def test_a_paper_has_every_victim_once_beside_the_mean():
    victims = [f"v{place}" for place in range(9)]
    aucs = np.arange(9) / 16
    board = pd.DataFrame({"recipe": victims, "status": "complete", "auc_fgsm": aucs})
    tables = read(matrix_tables(matrix([("v4", "small", 0)], [board], victims, "fgsm"), "fgsm", "digits", ["fact"]))
    assert [table.headings[3] for table in tables] == ["mean"] * len(tables)
    assert [name for table in tables for name in table.headings[4:]] == victims
    for table in tables:
        cells = table.by_name()["v4"]
        assert value(cells["mean"]) == pytest.approx((aucs.mean(),), abs=5.1e-4)
        for victim in table.headings[4:]:
            assert value(cells[victim]) == pytest.approx((aucs[int(victim[1])],), abs=5.1e-4)
            assert cells[victim].startswith("=") == (victim == "v4")
