"""The LaTeX tables compile whatever recipes are called, fit a page, and a wide matrix is cut."""

import shutil
import subprocess

import numpy as np
import pytest

from robustbench_pix.leaderboard.paper.tex_files import matrix_tables, write_tables
from tests.leaderboard.latex_cells import close, read
from tests.leaderboard.paper_board import RECIPES, WILD, board, corruptions, costs, queries, sources
from tests.tables import as_board


def test_the_matrix_marks_the_source_recipe_and_is_cut_where_it_is_wide():
    victims = ["unregularized", "pixel", "thresholded", "shuffled", "decorrelated", "statistics", "blurred"]
    frame = sources(("thresholded", "blurred"), victims)
    tables = read(matrix_tables(frame, "fgsm", "digits:digits", ["seeds 0, 1"]))
    assert [table.headings[3:] for table in tables] == [["mean", *victims[:3]], ["mean", *victims[3:]]]
    marked = []
    for table in tables:
        assert "seeds 0, 1" in table.caption
        for row, line in zip(frame.to_dict("records"), table.lines, strict=True):
            for heading, cell in list(zip(table.headings, line, strict=True))[3:]:
                number = row["mean_robustness" if heading == "mean" else f"auc_{heading}"]
                assert cell == "--" if np.isnan(number) else close(cell, number)
                marked += [(row["source_recipe"], row["statistic"], heading)] if cell.startswith("=") else []
    assert marked == [
        *[("unregularized", statistic, "unregularized") for statistic in ("auc", "auc", "mean")],
        ("thresholded", "auc", "thresholded"),
        ("blurred", "auc", "blurred"),
    ]
    assert [line[2] for line in tables[0].lines] == ["0", "1", "mean", r"\pm", "0", "0", ""]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles_them_with_any_name_and_they_fit_a_page(tmp_path):
    names = tuple(WILD.get(recipe, recipe) for recipe in RECIPES)
    measured, leaderboard = board(names)
    whole = as_board(measured, leaderboard, costs=costs(measured), queries=queries(names))
    files = write_tables(whole, tmp_path, corruptions(names))
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
