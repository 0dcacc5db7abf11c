import re
import shutil
import subprocess

import pandas as pd
import pytest

from robustbench_pix.leaderboard.paper import latex
from robustbench_pix.leaderboard.paper.latex_tables import comparison_table, figure_caption, leaderboard_tables
from robustbench_pix.results.published_curves import compared, published_for, read_curves
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.aucs import strength_curves
from robustbench_pix.results.statistics.measured import settings
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
    return comparison_table(pd.Series(MNIST), "gaussian", "sigma", found), found


def everything():
    caption = figure_caption("salt-and-pepper", "a_kind", board()[1], "Attias et al. 2024, Fig. 2a")
    return leaderboard_tables(*board()) + comparison()[0] + latex.figure(caption, "fig:a", "a.pdf", both_columns=True)


def body(table):
    """Return the cells of every row below the headings."""
    lines = table.partition(r"\midrule")[2].partition(r"\bottomrule")[0].strip().splitlines()
    return [re.split(r"(?:^|(?<!\\) )& ", line.removesuffix(r" \\")) for line in lines]


def number(cell):
    """Return the number that a cell begins with."""
    return float(re.match(r"\$?(?:\\mathbf\{)?([+-]?[\d.]+)", cell)[1])


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
    tables = re.findall(r"\\begin\{tabular\}\{(\w+)\}.*?\\end\{tabular\}", everything(), flags=re.DOTALL)
    texts = everything().split(r"\begin{tabular}")[1:]
    assert len(tables) == 3  # six attacks take two tables
    for columns, text in zip(tables, texts, strict=True):
        assert all(len(row) == len(columns) for row in body(text)), columns


def test_labels_are_unique():
    labels = re.findall(r"\\label\{(.*?)\}", everything())
    assert len(labels) == 4
    assert len(set(labels)) == len(labels)
    assert all(re.fullmatch(r"(tab|fig):[A-Za-z0-9-]+", label) for label in labels)


def test_the_leaderboard_holds_the_numbers_and_marks_the_best():
    given = ("unregularized", "thresholded", "pixel"), ("gaussian", DISTANCE_ONLY), range(7)
    table, _ = board(*given)
    found = body(leaderboard_tables(*board(*given)))
    assert [cells[1] for cells in found] == list(table["recipe"])
    for cells, row in zip(found, table.to_dict("records"), strict=True):
        low, high = row["rank_low"], row["rank_high"]
        assert cells[0] == (f"{low}" if low == high else f"{low}--{high}") + f" {row['group']}"
        assert number(cells[2]) == pytest.approx(row["clean_accuracy"], abs=5.1e-4)
        assert number(cells[3]) == pytest.approx(row["mean_auc"], abs=5.1e-4)
        half = float(cells[3].partition(r"\pm ")[2].rstrip("$"))
        assert half == pytest.approx((row["mean_auc_high"] - row["mean_auc_low"]) / 2, abs=5.1e-4)
        assert (cells[4] == "--") == (row["recipe"] == "unregularized")
        assert (r"\mathbf" in cells[3]) == (row["rank"] == 1)
        mantissa, exponent = re.match(r"\$([\d.]+) \\times 10\^\{(-?\d+)\}\$", cells[6]).groups()
        assert float(f"{mantissa}e{exponent}") == pytest.approx(row[f"distance_{DISTANCE_ONLY}"], rel=0.03)


def test_recipes_that_were_not_run_say_why():
    assert r"neural not run: no file of responses or similarities is named in models/neural.toml" in everything()


def test_the_comparison_holds_ours_the_published_and_the_difference_at_each_strength():
    table, found = comparison()
    assert r"\multicolumn{3}{c}{unregularized} & \multicolumn{3}{c}{thresholded}" in table
    by_recipe = {recipe: lines.set_index("strength") for recipe, lines in found.groupby("recipe")}
    strengths = sorted(set(found["strength"]))
    for cells, strength in zip(body(table), strengths, strict=True):
        assert float(cells[0]) == pytest.approx(strength, abs=5.1e-4)
        for place, recipe in ((1, "unregularized"), (4, "thresholded")):
            row = by_recipe[recipe].loc[strength]
            assert number(cells[place]) == pytest.approx(row["accuracy"], abs=5.1e-4)
            assert float(cells[place].partition(r"\pm ")[2].rstrip("$")) == pytest.approx(
                row["standard_error"], abs=5.1e-4
            )
            assert number(cells[place + 1]) == row["published"]
            assert number(cells[place + 2]) == pytest.approx(row["accuracy"] - row["published"], abs=5.1e-4)
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
