"""One board, one verdict: every surface is read, and says of every recipe what leaderboard.csv says."""

import io
import re

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from robustbench_pix.leaderboard.captions import verdicts as sentences_of_block
from robustbench_pix.leaderboard.display import share
from robustbench_pix.leaderboard.page.page import page
from robustbench_pix.leaderboard.paper.tex_files import write_tables
from robustbench_pix.leaderboard.publishing import publish
from robustbench_pix.leaderboard.terminal.comparison_text import sentences
from robustbench_pix.leaderboard.terminal.detail import render
from robustbench_pix.leaderboard.terminal.overview import render_overview
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.comparisons import pairs
from robustbench_pix.results.statistics.measured import settings
from tests.leaderboard.latex_cells import leaderboard_tables, read
from tests.tables import as_board, beside, block, measurements, rows

RECIPES = ("unregularized", "stronger", "weaker", "same", "doubtful")
ATTACKS = ("gaussian", "uniform")
LEVELS = {"stronger": 0.05, "weaker": -0.05, "same": 0.0, "doubtful": 0.008}
"""What is added to the AUC of unregularized; the uncorrected interval of ``doubtful`` excludes 0."""

NEEDED = "3 seeds: too few for a verdict; 6 needed: rbp run --seeds 6"
MARKS = {"better": "+", "worse": "-"}


def made(seeds):
    base = measurements(recipes=("unregularized",), attacks=ATTACKS, seeds=seeds)
    random, parts = np.random.default_rng(2), [base]
    for recipe, level in LEVELS.items():
        moved = level + 0.008 * random.normal(0, 1, len(seeds)) * (recipe != "same")
        moved += 0.002 * random.normal(0, 1, len(seeds)) * (recipe == "same")
        if recipe == "doubtful":
            moved = level + 0.0078 * (moved - moved.mean()) / moved.std(ddof=1)
        by_seed = dict(zip(seeds, moved, strict=True))
        parts.append(base.assign(recipe=recipe, area=base["area"] + base["seed"].map(by_seed) * base["strength"]))
    measured, asked = pd.concat(parts, ignore_index=True), rows(None, RECIPES, ATTACKS, seeds)
    return measured, asked, build_leaderboard(settings(measured, asked))


@pytest.fixture(scope="module", params=[7, 3])
def case(request):
    return made(tuple(range(request.param)))


def verdict_of(board):
    return {row["recipe"]: row["verdict"] for row in board.to_dict("records") if row["recipe"] != "unregularized"}


def written(renderable, width=200, **options):
    console = Console(file=io.StringIO(), width=width, **options)
    console.print(renderable)
    return console.file.getvalue()


def test_the_board_has_every_verdict():
    _, _, board = made(tuple(range(7)))
    expected = {"stronger": "better", "weaker": "worse", "same": "not significant", "doubtful": "not significant"}
    assert verdict_of(board) == expected
    doubtful = board.set_index("recipe").loc["doubtful"]
    assert doubtful["gain_low"] > 0  # what the starting commit painted green and called better
    few = made(tuple(range(3)))[2]
    assert set(verdict_of(few).values()) == {"too few seeds"}
    assert few[["rank", "rank_low", "rank_high"]].isna().all(axis=None)
    assert set(few["group"]) == {""}


def test_compare(case):
    measured, asked, board = case
    for recipe, verdict in verdict_of(board).items():
        (pair,) = pairs(settings(measured, asked), recipe, "unregularized")
        first, *others = sentences(pair, recipe, "unregularized")
        opening = {
            "better": f"{recipe} is better than unregularized",
            "worse": f"{recipe} is worse than unregularized",
            "not significant": f"The difference between {recipe} and unregularized is not significant",
            "too few seeds": f"No verdict on {recipe} and unregularized",
        }[verdict]
        assert first.startswith(opening)
        assert (NEEDED in first) == (verdict == "too few seeds")
        assert not re.search("better|worse|significant", " ".join(others))


def test_csv_files_and_latex(case, tmp_path):
    measured, _, board = case
    whole = as_board(measured, board)
    publish(tmp_path, whole)
    published = pd.read_csv(tmp_path / "leaderboard.csv", keep_default_na=False)
    assert verdict_of(published) == verdict_of(board)
    compared = pd.read_csv(tmp_path / "comparisons.csv")
    assert dict(zip(compared["recipe"], compared["verdict"], strict=True)) == verdict_of(board)
    write_tables(whole, tmp_path)
    (table,) = read((tmp_path / "blackbox/comparisons.tex").read_text())
    shown = {line[0]: line[-1] for line in table.lines if len(line) > 1}
    assert {recipe: verdict.strip("*") for recipe, verdict in shown.items()} == verdict_of(board)
    for recipe, verdict in shown.items():
        assert verdict.startswith("*") == (verdict_of(board)[recipe] in MARKS)
    assert (NEEDED in table.caption) == ("too few seeds" in verdict_of(board).values())


def test_the_latex_leaderboard_has_the_ranks_of_the_page(case):
    measured, _, board = case
    found = [line for table in read(leaderboard_tables(board, measured)) for line in table.lines]
    html = page(board, measured)
    for (rank, recipe, _, mean_auc, *_), row in zip(found, board.to_dict("records"), strict=True):
        assert recipe == row["recipe"]
        bold = row["rank"] == 1 if not pd.isna(row["rank"]) else False
        assert mean_auc.startswith("*") == bold
        if pd.isna(row["rank"]):
            assert rank == ""
            continue
        ends = [str(row["rank_low"]), str(row["rank_high"])]
        assert rank == f"{'--'.join(dict.fromkeys(ends))} {row['group']}"
        shown = "–".join(dict.fromkeys(ends))
        assert f'<td data-v="{row["rank"]}">{shown}<span class="half">{row["group"]}</span></td>' in html


def test_the_page(case):
    measured, _, board = case
    html = page(board, measured)
    gained = board[board["gain"].notna()]
    styles = re.findall(r'<circle class="(\w+)"', html)
    told = {"better": "better", "worse": "worse", "not significant": "untold", "too few seeds": "untold"}
    assert styles == [told[verdict] for verdict in gained["verdict"]]
    words = re.findall(r"Gain over unregularized:</b> [^:]*: ([a-z ]+)\.", html)
    assert words == list(gained["verdict"])
    for sentence in sentences_of_block(board):
        assert sentence[1:] in html


def test_the_terminal(case):
    measured, _, board = case
    detail = written(
        render(board, measured, *beside(measured, board), console_width=200),
        force_terminal=True,
        color_system="standard",
    )
    plain = re.sub(r"\x1b\[[\d;]*m", "", detail)
    for row in board[board["gain"].notna()].to_dict("records"):
        gain = re.search(rf"\x1b\[(\d+)m\{share(row['gain'], signed=True)}\x1b", detail)
        assert (gain[1] if gain else "") == {"better": "32", "worse": "31"}.get(row["verdict"], "")
    for sentence in sentences_of_block(board):
        assert sentence[1:] in plain
    other = block("mnist", "mnist")
    both = pd.concat([board, board.assign(task=other["task"], regularization_data=other["regularization_data"])])
    overview = written(render_overview(both, 120), width=120)
    for row in board.to_dict("records"):
        (line,) = [line for line in overview.splitlines() if line.split()[:1] == [row["recipe"]]]
        star = "*" if not pd.isna(row["rank"]) and row["rank"] == 1 else ""
        marked = f"{star}{share(row['mean_auc'])}{MARKS.get(row['verdict'], '')}"
        assert line.split()[1:3] == [marked, marked]
    assert (NEEDED in " ".join(overview.split())) == ("too few seeds" in verdict_of(board).values())
