import re
import shutil
import subprocess

import pandas as pd
import pytest

from robustbench_pix.leaderboard import latex
from robustbench_pix.leaderboard.paper.tex_files import figure_caption, published_table
from robustbench_pix.results.published_curves import compared, published_for, read_curves
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.aucs import strength_curves
from robustbench_pix.results.statistics.measured import settings
from tests.leaderboard.latex_cells import close, leaderboard_tables, read, value
from tests.tables import ATTACKS, DISTANCE_ONLY, block, measurements, rows

MNIST = block("mnist", "mnist", network="resnet18", size="half_size")
WILD = ("unregularized", "100%_$x$ & #1", "[a]{b}~^\\<>|", "neural")
SPECIAL = r"&%$#_{}~^\<>|["


def board(recipes=WILD, attacks=(*ATTACKS, DISTANCE_ONLY), seeds=(0, 1, 2)):
    measured = measurements(MNIST, recipes=recipes, attacks=attacks, seeds=seeds).assign(flags="50% of them & more_")
    return build_leaderboard(settings(measured, rows(MNIST, recipes=recipes, attacks=attacks, seeds=seeds))), measured


def comparison(recipes=("thresholded", "unregularized")):
    measured = measurements(MNIST, recipes=recipes, attacks=("gaussian",))
    found = compared(strength_curves(measured), published_for(read_curves(), pd.Series(MNIST), "gaussian"))
    return published_table(pd.Series(MNIST), "gaussian", "sigma", found), found


def everything():
    caption = figure_caption("salt-and-pepper", "a_kind", board()[1], "Attias et al. 2024, Fig. 2a")
    return leaderboard_tables(*board()) + comparison()[0] + latex.figure(caption, "fig:a", "a.pdf", both_columns=True)


def test_every_special_character_is_escaped():
    for character in SPECIAL:
        text = latex.escaped(f"a{character}b")
        bare = re.sub(r"\\(?:text\w+\{\}|[&%$#_{}])|\{\[\}", "", text)
        assert bare == "ab", text


def test_braces_dollars_and_environments_are_balanced():
    text = everything()
    bare = re.sub(r"\\(?:\\|[&%$#_{}])", "", text)
    assert not set("#~^<>|%") & set(re.sub(r"10\^\{", "", bare))
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    assert bare.count("$") % 2 == 0
    assert not re.findall(r"_", re.sub(r"\$[^$]*\$", "", re.sub(r"\\cmidrule\S*", "", bare)))
    open_ = []
    for what, name in re.findall(r"\\(begin|end)\{(\S+?)\}", text):
        if what == "begin":
            open_.append(name)
        else:
            assert open_.pop() == name
    assert not open_


def test_every_row_has_as_many_cells_as_the_table_has_columns():
    tables = read(everything())
    assert len(tables) == 3  # six attacks take two tables
    assert all(len(line) == len(table.headings) for table in tables for line in table.lines)


def test_labels_are_unique():
    labels = re.findall(r"\\label\{(.*?)\}", everything())
    assert len(labels) == 4
    assert len(set(labels)) == len(labels)
    assert all(re.fullmatch(r"(tab|fig):[A-Za-z0-9-]+", label) for label in labels)


def test_the_leaderboard_holds_the_numbers_and_marks_the_best():
    given = ("unregularized", "thresholded", "pixel"), ("gaussian", DISTANCE_ONLY), range(7)
    table, _ = board(*given)
    tables = read(leaderboard_tables(*board(*given)))
    assert [table.headings[:2] for table in tables] == [["rank", "recipe"]] * len(tables)
    assert [line[1] for line in tables[0].lines] == list(table["recipe"])
    found = {name: {} for name in table["recipe"]}
    for shown in tables:
        for recipe, cells in shown.by_name("recipe").items():
            found[recipe] |= cells
    for row in table.to_dict("records"):
        cells = found[row["recipe"]]
        low, high = row["rank_low"], row["rank_high"]
        assert cells["rank"] == (f"{low}" if low == high else f"{low}--{high}") + f" {row['group']}"
        for heading, name in (("clean", "clean_accuracy"), ("mean AUC", "mean_auc")):
            assert close(cells[heading], row[name], (row[f"{name}_high"] - row[f"{name}_low"]) / 2)
        assert (cells["gain"] == "--") == (row["recipe"] == "unregularized")
        assert cells["mean AUC"].startswith("*") == (row["rank"] == 1)
        distance = cells["boundary attack, 50 steps distance"].strip("*")
        mantissa, exponent = re.match(r"([\d.]+) \\times 10\^\{(-?\d+)\}", distance).groups()
        assert float(f"{mantissa}e{exponent}") == pytest.approx(row[f"distance_{DISTANCE_ONLY}"], rel=0.03)


def test_recipes_that_were_not_run_say_why():
    assert r"neural not run: no file of responses or similarities is named in models/neural.toml" in everything()


def test_the_comparison_holds_ours_the_published_and_the_difference_at_each_strength():
    table, found = comparison()
    assert read(table)[0].above == ["", "unregularized", "thresholded"]
    by_recipe = {recipe: lines.set_index("strength") for recipe, lines in found.groupby("recipe")}
    strengths = sorted(set(found["strength"]))
    (shown,) = read(table)
    for cells, strength in zip(shown.lines, strengths, strict=True):
        assert close(cells[0], strength)
        for place, recipe in ((1, "unregularized"), (4, "thresholded")):
            row = by_recipe[recipe].loc[strength]
            assert close(cells[place], row["accuracy"], row["standard_error"])
            assert value(cells[place + 1]) == (row["published"],)
            assert close(cells[place + 2], row["accuracy"] - row["published"])
    assert "3 seeds" in table
    assert "Attias et al. 2024, Fig. 2a" in table


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles_it_without_a_complaint(tmp_path):
    text = everything().replace(r"\includegraphics{a.pdf}", "")
    head = r"\documentclass[twocolumn]{article}\usepackage[margin=0.875in]{geometry}\usepackage{booktabs,graphicx}"
    (tmp_path / "paper.tex").write_text(f"{head}\n\\begin{{document}}\n{text}\n\\end{{document}}\n")
    said = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert said.returncode == 0, said.stdout[-2000:]
    assert "Overfull" not in said.stdout
