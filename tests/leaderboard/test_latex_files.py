"""The LaTeX tables hold what the published CSV files hold, say what they mean, and fit a page."""

import itertools
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from robustbench_pix.attacks.checkpoints import CHECKPOINTS
from robustbench_pix.leaderboard.csv_text import as_published
from robustbench_pix.leaderboard.latex_files import Beside, write_tables
from robustbench_pix.leaderboard.latex_matrix import matrix_tables
from robustbench_pix.leaderboard.publishing import publish
from robustbench_pix.results.aggregation import build_leaderboard
from robustbench_pix.results.columns import COSTS, MEASUREMENTS, QUERIES
from robustbench_pix.results.corruptions import accuracy_rows, group_rows
from robustbench_pix.results.frames import typed
from robustbench_pix.results.matrix import matrix
from tests.leaderboard.latex_cells import read, value
from tests.results.test_corruptions import FOUND
from tests.results.test_corruptions import measurements as corrupted
from tests.tables import CONTROLS, block, measurements, rows

RECIPES = ("unregularized", "thresholded", "shuffled", "decorrelated", "neural", "pixel")
ATTACKS = ("gaussian", "salt-and-pepper", "transfer-fgsm", "boundary")
MNIST = block("mnist", "mnist", size="small", network="resnet18")
BLOCKS = ((block(), tuple(range(7))), (MNIST, (0, 1, 2)))
WILD = {"pixel": "100%_$x$ & #1", "shuffled": "[a]{b}~^\\<>|"}


def board(recipes=RECIPES):
    """Return measurements and leaderboard: seven seeds on digits, three on MNIST, the worst case on digits only."""
    measured, asked = [], []
    for key, (of, seeds) in enumerate(BLOCKS):
        one = measurements(of, recipes, ATTACKS, seeds, key=key)
        halved = (one["attack"] == "salt-and-pepper") & (one["recipe"] == recipes[1])
        one.loc[halved, "accuracy"] = one.loc[halved, "accuracy"].clip(lower=0.7)  # never halves
        late = (one["attack"] == "gaussian") & (one["recipe"] == recipes[1]) & (one["seed"] > 0)
        one.loc[late, "accuracy"] = one.loc[late, "accuracy"].clip(lower=0.7)  # halves under seed 0 only
        worst = one[(one["attack"] == "boundary") & (key == 0)].assign(attack="worst-case", strength_kind="share")
        both = pd.concat([one, worst.assign(strength=worst["strength"] * 2)], ignore_index=True)
        identifiers = both["recipe"] + both["seed"].astype(str) + of["task"]
        measured.append(both.assign(model_id=identifiers, attack_id=identifiers + both["attack"]))
        asked.append(rows(of, recipes, ATTACKS, seeds))
    together = as_published(pd.concat(measured, ignore_index=True), MEASUREMENTS)
    return together, build_leaderboard(together, pd.concat(asked, ignore_index=True))


def costs(measured):
    """Return the seconds of every run but the attacks on decorrelated."""
    trained = [{"kind": "train", "id": name} for name in measured["model_id"].unique()]
    attacked = [{"kind": "attack", "id": name} for name in measured["attack_id"].unique() if "decorrelated" not in name]
    lines = pd.DataFrame([*trained, *attacked])
    return typed(lines.assign(seconds=10.0 + 13.37 * lines.index, device="cpu", processor="p"), COSTS)


def queries(recipes=RECIPES):
    """Return three strengths of one attack of minimal distance and of one without distances, on digits."""
    lines = []
    for place, recipe in enumerate(name for name in recipes if name != "neural"):
        for attack, strength in itertools.product(("boundary", "square"), (0.5, 1.0, 1.5)):
            line = {"recipe": recipe, "attack": attack, "strength_kind": "l2", "strength": strength, "seeds": 7}
            line |= {"n": 1400 + place, "found": 700 + 100 * place, "limit": 1000 + place, "restricted_mean": 600.0}
            known = [count for count in CHECKPOINTS if count <= 1000]
            line |= {f"success_at_{count}": count / 1500 + place / 100 + strength / 10 for count in known}
            if attack == "boundary":
                line |= {f"distance_at_{count}": 12 / np.log(count + place) for count in known if count > 100 or place}
            if place:
                line |= {"median_queries": 700.0, "median_low": 500.0, "median_high": np.nan if place == 1 else 1000.0}
            lines.append(block() | line)
    return typed(pd.DataFrame(lines), QUERIES)


def corruptions(recipes=RECIPES):
    """Return accuracies and groups, as ``rbp corruptions`` shows them, on digits."""
    parts = []
    for place, recipe in enumerate(recipes[:3]):
        curves = {
            (seed, name): (0.99, 0.9 - 0.01 * place - weight, 0.7 + 0.02 * seed)
            for seed, (name, weight) in itertools.product((0, 1), (("a", 0.1), ("b", 0.2), ("c", 0.3)))
        }
        parts.append(corrupted(curves).assign(recipe=recipe))
    return pd.DataFrame(accuracy_rows(pd.concat(parts), FOUND)), pd.DataFrame(group_rows(FOUND))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Give the CSV files and the tables of the .tex files, by their names."""
    folder = tmp_path_factory.mktemp("paper")
    measured, leaderboard = board()
    spent, asked = costs(measured), queries()
    publish(folder, measurements=measured, leaderboard=leaderboard, costs=spent, queries=asked)
    files = write_tables(leaderboard, measured, Beside(spent, asked, corruptions()), folder / "figures")
    assert {file.parent.name for file in files} == {"blackbox"}
    tables = {file.stem: read(file.read_text()) for file in files}
    frames = {name: pd.read_csv(folder / f"{name}.csv") for name in [*tables, "leaderboard"] if name != "corruptions"}
    return frames, tables


def close(text, *wanted, decimals=3):
    """Hold the numbers of a cell against those of the CSV file, to half of the last digit that is shown."""
    return value(text) == pytest.approx(wanted, abs=0.5001 * 10.0**-decimals)


def part(frame, task, **fields):
    chosen = frame[frame["task"] == task]
    for name, wanted in fields.items():
        chosen = chosen[chosen[name] == wanted]
    return chosen


def test_every_table_of_the_board_has_a_file(made):
    _, tables = made
    assert sorted(tables) == ["comparisons", "corruptions", "queries", "recipe-costs", "robustness"]
    assert {name: len(of) for name, of in tables.items()} == {
        "comparisons": 2, "corruptions": 1, "queries": 2, "recipe-costs": 2, "robustness": 6,
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
        seeds, difference, student, flip, detectable, verdict = cells
        assert int(seeds) == row["seeds"]
        assert close(difference, row["difference"], (row["high"] - row["low"]) / 2)
        assert difference[0] == ("+" if row["difference"] >= 0 else "-")
        for cell, name in ((student, "p_student_holm"), (flip, "p_holm")):
            if np.isnan(row[name]):
                assert cell == "--"
            elif cell.startswith("<"):
                assert row[name] < value(cell)[0] == 0.001
            else:
                assert close(cell, row[name])
        assert close(detectable, row["detectable"])
        assert verdict.strip("*") == row["verdict"]
        assert verdict.startswith("*") == (row["verdict"] in ("better", "worse"))
        found += 1
    assert found == len(frame)
    said = "no test: 3 seeds" if task == "mnist" else "sign-flip"
    assert said in tables["comparisons"][place].caption


@pytest.mark.parametrize(("first", "task"), [(0, "digits"), (3, "mnist")])
def test_robustness_by_attack_has_each_interval_and_halving_strength(made, first, task):
    frames, tables = made
    of_attacks = tables["robustness"][first + 1 : first + 3]
    frame = frames["robustness"]
    attacks = [ATTACKS[:3], ATTACKS[3:]]
    shown = 0
    for table, names in zip(of_attacks, attacks, strict=True):
        for recipe, *cells in table.lines:
            for attack, robustness, halving in zip(names, cells[::2], cells[1::2], strict=True):
                row = part(frame, task, recipe=recipe, attack=attack).squeeze()
                assert close(robustness, row["robustness"], (row["high"] - row["low"]) / 2)
                if row["halved_seeds"] == 0:
                    assert (halving[0], value(halving)) == (">", (0.5,))
                elif row["halved_seeds"] < row["seeds"]:
                    assert halving == f"{row['halved_seeds']} of {row['seeds']}"
                else:
                    assert close(halving, row["halving"], (row["halving_high"] - row["halving_low"]) / 2)
                shown += 1
    assert shown == len(part(frame, task)[part(frame, task)["attack"] != "worst-case"])
    (thresholded,) = [line for line in of_attacks[0].lines if line[0] == "thresholded"]
    assert (thresholded[2], thresholded[4]) == (f"1 of {7 if task == 'digits' else 3}", ">.500")
    assert of_attacks[0].above == ["", "Gaussian noise", "salt-and-pepper noise", "transferred FGSM"]
    assert "salt-and-pepper noise: probability; transferred FGSM: size" in of_attacks[0].caption


def test_no_halving_strength_is_the_best_where_a_recipe_lies_above_all(made):
    table = made[1]["robustness"][1]
    bold = [[cell.startswith("*") for cell in line[1:]] for line in table.lines]
    assert [sum(column) for column in zip(*bold, strict=True)] == [1, 0, 1, 0, 1, 1]


def test_excess_and_worst_case_stand_beside_clean_accuracy(made):
    frames, tables = made
    digits, mnist = tables["robustness"][0], tables["robustness"][3]
    assert digits.headings == ["", "clean", "score", "excess", "worst case", "halved at"]
    assert mnist.headings == ["", "clean", "score", "excess"]
    for task, table in (("digits", digits), ("mnist", mnist)):
        assert "neural" not in table.by_name()
        for recipe, cells in table.by_name().items():
            row = part(frames["leaderboard"], task, recipe=recipe).squeeze()
            for heading, name in (("clean", "clean"), ("score", "score"), ("excess", "excess")):
                number = row["clean_accuracy" if name == "clean" else name]
                half = (row[f"{name}_high"] - row[f"{name}_low"]) / 2
                assert (cells[heading] == "--") == np.isnan(number)
                assert np.isnan(number) or close(cells[heading], number, half)
    for recipe, cells in digits.by_name().items():
        row = part(frames["robustness"], "digits", recipe=recipe, attack="worst-case").squeeze()
        assert close(cells["worst case"], row["robustness"], (row["high"] - row["low"]) / 2)
        assert close(cells["halved at"], row["halving"], (row["halving_high"] - row["halving_low"]) / 2, decimals=2)
    scores = part(frames["leaderboard"], "digits").set_index("recipe")["score"].dropna()
    assert [name for name, cells in digits.by_name().items() if cells["score"].startswith("*")] == [scores.idxmax()]


def test_costs_are_those_of_a_model_and_absent_where_one_is_unknown(made):
    frames, tables = made
    for task, table in zip(("digits", "mnist"), tables["recipe-costs"], strict=True):
        frame = part(frames["recipe-costs"], task).set_index("recipe")
        assert set(table.by_name()) == set(frame.index)
        for recipe, cells in table.by_name().items():
            row = frame.loc[recipe]
            assert int(cells["models"]) == row["seeds"]
            for heading, name in (("training", "training"), ("attacks", "attack")):
                number, cell = row[f"{name}_seconds"], cells[f"{heading} (s)"]
                assert (cell == "--") == np.isnan(number) == (recipe == "decorrelated" and name == "attack")
                assert cell == "--" or close(cell, number, decimals=1 if frame[f"{name}_seconds"].max() < 100 else 0)
            ratio = row["training_seconds"] / frame.loc["unregularized", "training_seconds"]
            assert close(cells["times"], ratio, decimals=1)


def test_means_over_combinations_have_their_bootstrap_intervals(tmp_path):
    measured, leaderboard = board()
    measured, leaderboard = (table.assign(size="full") for table in (measured, leaderboard))
    nothing = Beside(typed(pd.DataFrame(), COSTS), typed(pd.DataFrame(), QUERIES))
    publish(tmp_path, measurements=measured, leaderboard=leaderboard, costs=nothing.costs)
    write_tables(leaderboard, measured, nothing, tmp_path)
    frame = pd.read_csv(tmp_path / "across.csv").set_index("recipe")
    (table,) = read((tmp_path / "blackbox/across.tex").read_text())
    assert set(table.by_name()) == set(frame.index)
    for recipe, cells in table.by_name().items():
        row = frame.loc[recipe]
        assert (int(cells["combinations"]), int(cells["models"])) == (row["combinations"], row["models"]) == (2, 10)
        assert close(cells["mean score"], row["mean"], row["mean_low"], row["mean_high"])
        assert cells["mean score"].startswith("*") == (row["mean"] == frame["mean"].max())
        if recipe == "unregularized":
            assert cells["P(better)"] == "--"
        else:
            ends = row[["improvement", "improvement_low", "improvement_high"]]
            assert close(cells["P(better)"], *ends)
    assert "combinations: digits:digits, mnist:mnist" in table.caption


def test_queries_are_those_at_the_middle_strength(made):
    frames, tables = made
    frame = frames["queries"]
    for attack, table in zip(("boundary", "square"), tables["queries"], strict=True):
        assert re.search(r"\(\$\\ell_2\$\) 1; at most 1,000 to 1,004 queries an image", table.caption)
        for name, *cells in table.lines:
            row = part(frame, "digits", recipe=name, attack=attack, strength=1.0).squeeze()
            images, *success, end = cells[:4]
            assert int(images.replace(",", "")) == row["n"]
            assert all(
                close(cell, row[f"success_at_{count}"]) for cell, count in zip(success, (100, 1000), strict=True)
            )
            assert close(end, row["found"] / row["n"])
            for cell, count in zip(cells[4:-1], (100, 1000), strict=attack == "boundary"):
                distance = row[f"distance_at_{count}"]
                assert cell == "--" if np.isnan(distance) else close(cell, distance, decimals=2)
            if np.isnan(row["median_queries"]):
                assert cells[-1] == f">{row['limit']:,}"
            elif np.isnan(row["median_high"]):
                assert cells[-1] == f"700[500, >{row['limit']:,}]"
            else:
                assert cells[-1] == "700[500, 1,000]"
        assert table.headings[1:] == [
            *("images", "100", "1,000", "end"), *["100", "1,000"] * (attack == "boundary"), "median"
        ]  # fmt: skip
        assert table.above == ["", "success", *["distance"] * (attack == "boundary"), "queries"]
    assert {line[-1][0] for line in tables["queries"][0].lines} == {">", "7"}


def test_corruptions_hold_the_means_and_say_which_are_of_which_frequency(made):
    (table,) = made[1]["corruptions"]
    accuracies, _ = corruptions()
    assert len(table.lines) == len(accuracies)
    for row in accuracies.to_dict("records"):
        cells = table.by_name()[row["recipe"]]
        assert close(cells["corrupted"], row["mean"], (row["to"] - row["from"]) / 2)
        for name in ("clean", "low", "medium", "high"):
            assert close(cells[name], row[name])
        best = row["mean"] == accuracies["mean"].max()
        assert cells["corrupted"].startswith("*") == best
    assert "low: a; medium: b; high: c; low up to 0.15 and high above 0.25" in table.caption


def sources(recipes, victims):
    """Return the matrix of one source a recipe and two of unregularized."""
    named = [("unregularized", "small", 0), ("unregularized", "small", 1)]
    named += [(recipe, "plain", 0) for recipe in recipes]
    random = np.random.default_rng(0)
    boards = [
        pd.DataFrame({"recipe": victims, "status": "complete", "robustness_fgsm": random.uniform(0, 1, len(victims))})
        for _ in named
    ]
    boards[-1].loc[0, "robustness_fgsm"] = np.nan
    return matrix(named, boards, victims, "fgsm")


def test_the_matrix_marks_the_source_recipe_and_is_cut_where_it_is_wide():
    victims = ["unregularized", "pixel", "thresholded", "shuffled", "decorrelated", "statistics", "blurred"]
    frame = sources(("thresholded", "blurred"), victims)
    tables = read(matrix_tables(frame, "fgsm", "digits:digits", ["seeds 0, 1"]))
    assert [table.headings[3:] for table in tables] == [[*victims[:4], "mean"], [*victims[4:], "mean"]]
    marked = []
    for table in tables:
        assert "seeds 0, 1" in table.caption
        for row, line in zip(frame.to_dict("records"), table.lines, strict=True):
            for heading, cell in list(zip(table.headings, line, strict=True))[3:]:
                number = row["mean_robustness" if heading == "mean" else f"robustness_{heading}"]
                assert cell == "--" if np.isnan(number) else close(cell, number)
                marked += [(row["source_recipe"], row["statistic"], heading)] if cell.startswith("=") else []
    assert marked == [
        *[("unregularized", statistic, "unregularized") for statistic in ("robustness", "robustness", "mean")],
        ("thresholded", "robustness", "thresholded"),
        ("blurred", "robustness", "blurred"),
    ]
    assert [line[2] for line in tables[0].lines] == ["0", "1", "mean", r"\pm", "0", "0", ""]


def test_captions_say_how_the_block_was_measured_and_who_controls_whom(made):
    _, tables = made
    for table in itertools.chain.from_iterable(tables.values()):
        assert "suite blackbox 1" in table.caption
        assert "strict protocol" in table.caption
        assert "seeds 0, 1, 2" in table.caption
    for name in ("comparisons", "robustness", "recipe-costs"):
        for table in tables[name]:
            assert "neural not run: no file of responses" in table.caption
            assert "indented: control of the recipe above" in table.caption
            names = [line[0][0] for line in table.raw if len(line) > 1]
            indented = {text.removeprefix(r"\quad ") for text in names if text.startswith(r"\quad")}
            assert indented == set(CONTROLS) & set(RECIPES)
            claim = names.index("thresholded")
            assert set(names[claim + 1 : claim + 3]) == {rf"\quad {control}" for control in indented}
    assert all(r"$\pm$: half of the 95\% interval" in table.caption for table in tables["robustness"])


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
    measured.loc[better, "accuracy"] = measured.loc[better, "accuracy"].clip(lower=0.95)
    measured = measured[~(better & (measured["attack"] == "boundary"))]
    leaderboard = build_leaderboard(measured, rows(None, RECIPES, ATTACKS, range(7)))
    assert leaderboard.set_index("recipe")["score"].isna()["pixel"]
    write_tables(leaderboard, measured, Beside(costs(measured), queries()), tmp_path)
    for table in read((tmp_path / "blackbox/robustness.tex").read_text()):
        assert not any(cell.startswith("*") for cell in table.by_name()["pixel"].values())
        assert any(cell.startswith("*") for line in table.lines for cell in line)


def test_labels_are_unique(made):
    labels = [table.label for table in itertools.chain.from_iterable(made[1].values())]
    assert len(set(labels)) == len(labels) == 13
    assert all(re.fullmatch(r"tab:[A-Za-z0-9-]+", label) for label in labels)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles_them_with_any_name_and_they_fit_a_page(tmp_path):
    names = tuple(WILD.get(recipe, recipe) for recipe in RECIPES)
    measured, leaderboard = board(names)
    files = write_tables(leaderboard, measured, Beside(costs(measured), queries(names), corruptions(names)), tmp_path)
    texts = [file.read_text() for file in files]
    recipes = [*names, "a-rather-long-name"]
    texts.append(matrix_tables(sources(recipes[1:3], recipes), "transfer-fgsm", "a:b", ["100% of them"]))
    head = r"\documentclass{article}\usepackage[textwidth=5.5in,textheight=9in]{geometry}\usepackage{booktabs}"
    text = "\n\\clearpage\n".join(texts)
    (tmp_path / "paper.tex").write_text(f"{head}\n\\begin{{document}}\n{text}\n\\end{{document}}\n")
    said = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert said.returncode == 0, said.stdout[-2000:]
    assert "Overfull" not in said.stdout
    assert "Float too large" not in said.stdout
