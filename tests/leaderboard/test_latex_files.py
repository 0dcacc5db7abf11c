"""The LaTeX tables hold what the published CSV files hold, say what they mean, and fit a page."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest

from robustbench_pix.leaderboard.paper.tex_files import aggregate_tables, write_tables
from robustbench_pix.leaderboard.publishing import publish
from robustbench_pix.results.board import published_board
from robustbench_pix.results.statistics.aggregates import aggregates
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.measured import settings
from robustbench_pix.runs.request import EXTERNAL_SEED
from tests.leaderboard.latex_cells import close, read, value
from tests.leaderboard.paper_board import ATTACKS, RECIPES, board, corruptions, costs, queries
from tests.tables import CONTROLS, as_board, asked_of, measurements, rows


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Give the CSV files and the tables of the .tex files, by their names."""
    folder = tmp_path_factory.mktemp("paper")
    measured, leaderboard = board()
    publish(folder, as_board(measured, leaderboard, costs=costs(measured), queries=queries()))
    files = write_tables(published_board(folder), folder / "figures", corruptions())
    assert {file.parent.name for file in files} == {"blackbox"}
    tables = {file.stem: read(file.read_text()) for file in files}
    frames = {name: pd.read_csv(folder / f"{name}.csv") for name in [*tables, "leaderboard"] if name != "corruptions"}
    return frames, tables


def part(frame, task, **fields):
    chosen = frame[frame["task"] == task]
    for name, wanted in fields.items():
        chosen = chosen[chosen[name] == wanted]
    return chosen


def test_every_table_of_the_board_has_a_file(made):
    _, tables = made
    assert {name: len({table.label.removesuffix("-2") for table in of}) for name, of in tables.items()} == {
        "aucs": 2, "comparisons": 2, "corruptions": 1, "leaderboard": 2, "queries": 2, "recipe-costs": 2,
    }  # fmt: skip


@pytest.mark.parametrize(("place", "task"), [(0, "digits"), (1, "mnist")])
def test_comparisons_hold_every_row_below_what_it_is_compared_with(made, place, task):
    frames, tables = made
    frame, lines, against = part(frames["comparisons"], task), tables["comparisons"][place].lines, None
    found = 0
    for name, *cells in lines:
        if not cells:
            against = name
            continue
        if against == "compared with unregularized":
            row = part(frame, task, role="baseline", recipe=name).squeeze()
        else:
            assert against == "thresholded compared with its controls"
            row = part(frame, task, role="control", recipe="thresholded", reference=name).squeeze()
        seeds, difference, adjusted, flip, detectable, verdict = cells
        assert int(seeds) == row["seeds"]
        assert close(difference, row["difference"], (row["high"] - row["low"]) / 2)
        assert difference[0] == ("+" if row["difference"] >= 0 else "-")
        for cell, name in ((adjusted, "p_adjusted"), (flip, "p_value")):
            if np.isnan(row[name]):
                assert cell == "--"
            elif row[name] < 0.001:
                assert cell == "<.001"
            else:
                assert close(cell, row[name])
        assert close(detectable, row["detectable"])
        assert verdict.strip("*") == row["verdict"]
        assert verdict.startswith("*") == (row["verdict"] in ("better", "worse"))
        found += 1
    assert found == len(frame)
    said = "3 seeds: too few for a verdict" if task == "mnist" else "better than unregularized: "
    assert said in tables["comparisons"][place].caption


SHOWN = ("Gaussian noise", "salt-and- pepper noise", "transferred FGSM", "boundary attack")


def cells_of(tables, task):
    """Return the cells of each recipe by their headings, from all tables of a task."""
    found = {}
    for table in tables:
        if task in table.label.split("-"):
            for recipe, cells in table.by_name("recipe").items():
                found.setdefault(recipe, {}).update(cells)
    return found


@pytest.mark.parametrize("task", ["digits", "mnist"])
def test_each_auc_has_its_interval_and_each_eps50_too(made, task):
    frames, tables = made
    aucs, halves = cells_of(tables["leaderboard"], task), cells_of(tables["aucs"], task)
    frame = part(frames["aucs"], task)
    frame = frame[frame["attack"] != "worst-case"]
    for row in frame.to_dict("records"):
        heading = SHOWN[ATTACKS.index(row["attack"])]
        assert close(aucs[row["recipe"]][heading], row["auc"], (row["high"] - row["low"]) / 2)
        eps50 = halves[row["recipe"]][f"{heading} eps50"]
        if row["eps50_seeds"] == 0:
            assert (eps50[0], value(eps50)) == (">", (0.5,))
        elif row["eps50_seeds"] < row["seeds"]:
            assert eps50 == f"{row['eps50_seeds']} of {row['seeds']}"
        else:
            assert close(eps50, row["eps50"], (row["eps50_high"] - row["eps50_low"]) / 2)
    assert len(frame) == len(halves) * len(ATTACKS)
    assert halves["thresholded"]["Gaussian noise eps50"] == f"1 of {7 if task == 'digits' else 3}"
    assert halves["thresholded"]["salt-and- pepper noise eps50"] == ">.5"
    assert "salt-and-pepper noise, probability" in " ".join(table.caption for table in tables["aucs"])


def test_no_eps50_is_the_best_where_a_recipe_lies_above_all(made):
    cells = cells_of(made[1]["aucs"], "digits")
    counts = [sum(of[f"{heading} eps50"].startswith("*") for of in cells.values()) for heading in SHOWN]
    assert counts == [0, 0, 1, 1]


def test_effective_robustness_and_worst_case_stand_beside_each_other(made):
    frames, tables = made
    digits, mnist = (cells_of(tables["aucs"], task) for task in ("digits", "mnist"))
    assert list(digits["pixel"])[:4] == ["recipe", "effective", "worst case", "worst case eps50"]
    assert list(mnist["pixel"])[:3] == ["recipe", "effective", "Gaussian noise eps50"]
    for task, shown in (("digits", digits), ("mnist", mnist)):
        assert "neural" not in shown
        for recipe, cells in shown.items():
            row = part(frames["leaderboard"], task, recipe=recipe).squeeze()
            number = row["effective_robustness"]
            half = (row["effective_robustness_high"] - row["effective_robustness_low"]) / 2
            assert (cells["effective"] == "--") == np.isnan(number)
            assert np.isnan(number) or close(cells["effective"], number, half)
            assert cells["effective"].strip("*")[0] in "+-"
    for recipe, cells in digits.items():
        row = part(frames["aucs"], "digits", recipe=recipe, attack="worst-case").squeeze()
        assert close(cells["worst case"], row["auc"], (row["high"] - row["low"]) / 2)
        assert close(cells["worst case eps50"], row["eps50"], (row["eps50_high"] - row["eps50_low"]) / 2)


@pytest.mark.parametrize("task", ["digits", "mnist"])
def test_the_leaderboard_has_clean_accuracy_mean_auc_and_the_bold_first_rank(made, task):
    frames, tables = made
    frame, shown = part(frames["leaderboard"], task), cells_of(tables["leaderboard"], task)
    assert set(shown) == set(frame["recipe"])
    for row in frame.to_dict("records"):
        for heading, name in (("clean", "clean_accuracy"), ("mean AUC", "mean_auc"), ("gain", "gain")):
            cell, half = shown[row["recipe"]][heading], (row[f"{name}_high"] - row[f"{name}_low"]) / 2
            assert (cell == "--") == np.isnan(row[name])
            assert cell == "--" or close(cell, row[name], half)
    ranks = frame.set_index("recipe")["rank"]
    marked = [name for name, cells in shown.items() if cells["mean AUC"].startswith("*")]
    assert sorted(marked) == sorted(ranks.index[ranks == 1])
    assert bool(marked) == (task == "digits")


def test_costs_are_those_of_a_model_and_absent_where_one_is_unknown(made):
    frames, tables = made
    for task in ("digits", "mnist"):
        frame = part(frames["recipe-costs"], task).set_index("recipe")
        shown = cells_of(tables["recipe-costs"], task)
        assert set(shown) == set(frame.index)
        for recipe, cells in shown.items():
            row = frame.loc[recipe]
            assert int(cells["models"]) == row["seeds"]
            for heading, name in (("training", "training_seconds"), ("attack", "attack_seconds"), ("total", "seconds")):
                number, cell = row[name], cells[f"{heading} seconds"]
                assert (cell == "--") == np.isnan(number) == (recipe == "decorrelated" and heading != "training")
                assert cell == "--" or close(cell, number, decimals=1 if number < 100 else 0)
            ratio = row["training_seconds"] / frame.loc["unregularized", "training_seconds"]
            assert close(cells["times"], ratio, decimals=1)


def test_means_over_combinations_have_their_bootstrap_intervals(tmp_path):
    measured, leaderboard = board()
    measured, leaderboard = (table.assign(size="full") for table in (measured, leaderboard))
    publish(tmp_path, as_board(measured, leaderboard))
    write_tables(published_board(tmp_path), tmp_path)
    frame = pd.read_csv(tmp_path / "aggregates.csv").set_index("recipe")
    (table,) = read((tmp_path / "blackbox/aggregates.tex").read_text())
    assert set(table.by_name()) == set(frame.index)
    for recipe, cells in table.by_name().items():
        row = frame.loc[recipe]
        assert (int(cells["combinations"]), int(cells["models"])) == (row["combinations"], row["models"]) == (2, 10)
        assert close(cells["IQM"], row["mean"], row["mean_low"], row["mean_high"])
        assert cells["IQM"].startswith("*") == (row["mean"] == frame["mean"].max())
        if recipe == "unregularized":
            assert cells["P(higher)"] == "--"
        else:
            ends = row[
                ["probability_of_improvement", "probability_of_improvement_low", "probability_of_improvement_high"]
            ]
            assert close(cells["P(higher)"], *ends)
    claims = [recipe for recipe in table.by_name() if recipe not in CONTROLS]
    assert claims == list(frame.loc[claims].sort_values("mean", ascending=False).index)
    assert "combinations: digits:digits, mnist:mnist" in table.caption


def test_a_given_model_has_no_seed_in_the_words_of_a_caption():
    measured, leaderboard = (table.assign(size="full") for table in board())
    over = aggregates(settings(measured, asked_of(leaderboard, measured)))
    given = leaderboard.head(1).assign(recipe="given", seed_list=str(EXTERNAL_SEED))
    assert EXTERNAL_SEED not in set(measured["seed"])
    assert list(aggregate_tables(over, pd.concat([leaderboard, given]))) == list(aggregate_tables(over, leaderboard))


def test_queries_are_those_at_the_middle_strength(made):
    frames, tables = made
    frame = frames["queries"]
    for attack, table in zip(("boundary", "square"), tables["queries"], strict=True):
        assert re.search(r"\(\$\\ell_2\$\) 1; at most 1,000 to 1,004 queries an image", table.caption)
        for name, *cells in table.lines:
            row = part(frame, "digits", recipe=name, attack=attack, strength=1.0).squeeze()
            images, *success, end = cells[:4]
            assert close(cells[-1], row["restricted_mean_queries"], decimals=0)
            assert int(images.replace(",", "")) == row["n"]
            assert all(
                close(cell, row[f"success_at_{count}"]) for cell, count in zip(success, (100, 1000), strict=True)
            )
            assert close(end, row["found"] / row["n"])
            for cell, count in zip(cells[4:-2], (100, 1000), strict=attack == "boundary"):
                distance = row[f"distance_at_{count}"]
                assert cell == "--" if np.isnan(distance) else close(cell, distance, decimals=2)
            if np.isnan(row["median_queries"]):
                assert cells[-2] == f">{row['query_budget']:,}"
            elif np.isnan(row["median_high"]):
                assert cells[-2] == f"700[500, >{row['query_budget']:,}]"
            else:
                assert cells[-2] == "700[500, 1,000]"
        assert table.headings[1:] == [
            *("images", "100", "1,000", "end"), *["100", "1,000"] * (attack == "boundary"), "median", "mean"
        ]  # fmt: skip
        assert table.above == ["", "success", *["distance"] * (attack == "boundary"), "queries"]
    assert {line[-2][0] for line in tables["queries"][0].lines} == {">", "7"}


def test_corruptions_hold_the_means_and_say_which_are_of_which_frequency(made):
    (table,) = made[1]["corruptions"]
    accuracies, _ = corruptions()
    assert len(table.lines) == len(accuracies)
    for row in accuracies.to_dict("records"):
        cells = table.by_name()[row["recipe"]]
        assert close(cells["corrupted"], row["mean"], (row["to"] - row["from"]) / 2)
        for name in ("clean", "low", "medium", "high"):
            assert close(cells[name], row[name])
            assert cells[name].startswith("*") == (row[name] == accuracies[name].max())
        best = row["mean"] == accuracies["mean"].max()
        assert cells["corrupted"].startswith("*") == best
    assert "low: a; medium: b; high: c; low up to 0.15 and high above 0.25" in table.caption


def test_captions_say_how_the_block_was_measured_and_who_controls_whom(made):
    _, tables = made
    for table in itertools.chain.from_iterable(tables.values()):
        assert "suite blackbox 1" in table.caption
        assert "strict protocol" in table.caption
        assert "seeds 0, 1, 2" in table.caption
    for name in ("leaderboard", "comparisons", "aucs", "recipe-costs"):
        for table in tables[name]:
            assert "neural not run: no file of responses" in table.caption
            assert "indented: control of the recipe above" in table.caption
            place = table.headings.index("recipe")
            names = [line[place][0] for line in table.raw if len(line) > 1]
            indented = {text.removeprefix(r"\quad ") for text in names if text.startswith(r"\quad")}
            assert indented == set(CONTROLS) & set(RECIPES)
            claim = names.index("thresholded")
            assert set(names[claim + 1 : claim + 3]) == {rf"\quad {control}" for control in indented}
    assert all(r"$\pm$: half of the 95\% interval" in table.caption for table in tables["aucs"])


def test_points_stand_between_the_cells_of_a_number(made):
    _, tables = made
    seen = 0
    for table in itertools.chain.from_iterable(tables.values()):
        for line in table.raw:
            for (before, _), (after, _) in itertools.pairwise(line):
                if after.removeprefix(r"$\mathbf{").startswith(("$.", ".")):
                    assert not before or re.fullmatch(r"\$(\\mathbf\{)?([-+]|\{[<>=]\})?\d*\}?\$", before), line
                    seen += 1
    assert seen > 200


def test_a_recipe_without_a_score_is_never_the_best(tmp_path):
    measured, _ = board()
    measured = measured[measured["task"] == "digits"]
    better = measured["recipe"] == "pixel"
    measured.loc[better, "area"] = 0.99 * measured.loc[better, "strength"]
    measured = measured[~(better & (measured["attack"] == "boundary"))]
    leaderboard = build_leaderboard(settings(measured, rows(None, RECIPES, ATTACKS, range(7))))
    assert leaderboard.set_index("recipe")["mean_auc"].isna()["pixel"]
    write_tables(as_board(measured, leaderboard, costs=costs(measured), queries=queries()), tmp_path)
    for table in read((tmp_path / "blackbox/aucs.tex").read_text()):
        (pixel,) = [line for line in table.lines if line[0] == "pixel"]
        assert not any(cell.startswith("*") for cell in pixel)
        assert any(cell.startswith("*") for line in table.lines for cell in line)


def test_the_least_loss_is_no_best_effective_robustness_and_doubts_are_told(tmp_path):
    recipes = ("shuffled", "thresholded", "unregularized")
    measured = measurements(recipes=recipes, attacks=ATTACKS)
    measured["gradients"] = np.where(measured["recipe"] == "shuffled", "masked: no gradient", "sound")
    measured.loc[measured["seed"] == 2, "torch"] = "2.6.0"
    leaderboard = build_leaderboard(settings(measured, rows(None, recipes, ATTACKS)))
    assert (leaderboard.set_index("recipe")["effective_robustness"].drop("unregularized") < 0).all()
    write_tables(as_board(measured, leaderboard, costs=costs(measured), queries=queries()), tmp_path)
    table, *_ = read((tmp_path / "blackbox/aucs.tex").read_text())
    assert not any(cells["effective"].startswith("*") for cells in table.by_name().values())
    assert "masked gradients: shuffled." in table.caption
    assert "Rows mix torch 2.15.0 and 2.6.0" in table.caption
    asked = read((tmp_path / "blackbox/queries.tex").read_text())
    assert all(set(table.by_name()) == {"shuffled", "thresholded", "unregularized"} for table in asked)


def test_labels_are_unique(made):
    labels = [table.label for table in itertools.chain.from_iterable(made[1].values())]
    assert len(set(labels)) == len(labels) == 14
    assert all(re.fullmatch(r"tab:[A-Za-z0-9-]+", label) for label in labels)
