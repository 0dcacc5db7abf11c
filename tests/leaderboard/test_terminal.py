import io
import os
import re
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from robustbench_pix.leaderboard.captions import measuring_facts
from robustbench_pix.leaderboard.display import share
from robustbench_pix.leaderboard.terminal.detail import render
from robustbench_pix.results.columns import WORST_CASE
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.measured import settings
from tests.tables import ATTACKS, DISTANCE_ONLY, REASON, beside, block, made_once, measurements, rows, tables

SNAPSHOTS = Path(__file__).parent / "snapshots"


def shown(board, measured, width, **options):
    console = Console(file=io.StringIO(), width=width, **options)
    console.print(render(board, measured, *beside(measured, board), console_width=width))
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


@made_once
def two_combinations():
    first, second = block(), block("cifar10", "natural", network="resnet18", size="tiny")
    attacks = (*ATTACKS, WORST_CASE)
    measured = [measurements(first, attacks=attacks), measurements(second, key=5, n=10_000, attacks=attacks)]
    measured = pd.concat(measured, ignore_index=True)
    return build_leaderboard(settings(measured, pd.concat([rows(first), rows(second)], ignore_index=True))), measured


@made_once
def with_gaps():
    """Incomplete, failed and not run rows, long names, two kinds of torch, flags, a distance, seven attacks."""
    attacks = (*ATTACKS, DISTANCE_ONLY, "square")
    recipes = ("unregularized", "a-recipe-of-many-words", "thresholded", "decorrelated", "broken", "late", "neural")
    measured = measurements(recipes=recipes, attacks=attacks)
    lost = (measured["recipe"] == "late") & (measured["attack"] == "square") & (measured["seed"] != 1)
    lost |= (measured["recipe"] == "decorrelated") & (measured["attack"] == "square") | (measured["recipe"] == "broken")
    measured.loc[measured["recipe"] == "late", "torch"] = "2.11.0"
    measured.loc[measured["attack"] == "square", "flags"] = "depends on batch; failed on 3%"
    measured = measured[~lost]
    asked = rows(recipes=recipes, attacks=attacks)
    asked.loc[asked["recipe"] == "broken", "note"] = "training diverged"
    return build_leaderboard(settings(measured, asked)), measured


@pytest.mark.parametrize("width", [80, 100, 140])
@pytest.mark.parametrize("case", [two_combinations, with_gaps])
def test_snapshot(case, width):
    """With RBP_UPDATE=1 in the environment the snapshots are written anew; read the difference before committing it."""
    text = shown(*case(), width)
    file = SNAPSHOTS / f"{case.__name__}-{width}.txt"
    if os.environ.get("RBP_UPDATE"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("width", [48, 60, 80, 81, 99, 120, 200])
def test_every_width_shows_every_attack_and_recipe(width):
    board, measured = two_combinations()
    text = shown(board, measured, width)
    assert all(recipe in text for recipe in set(board["recipe"]))
    assert all(word in text for attack in ATTACKS for word in attack.split("-"))
    assert max(map(len, text.splitlines())) <= width


def test_numbers_stars_and_intervals():
    measured, board = tables()
    text = shown(board, measured, 100)
    best, unregularized = (board.set_index("recipe").loc[name] for name in ("thresholded", "unregularized"))
    line = next(line for line in text.splitlines() if "thresholded" in line and "control" not in line)
    # Three seeds allow no verdict: nothing of the score is starred.
    assert line.split()[2:4] == [f".{round(1000 * best['mean_auc'])}", f"+.{round(1000 * best['gain'])}"]
    assert f"±.{round(500 * (best['mean_auc_high'] - best['mean_auc_low'])):03d}" in text
    assert f".{round(1000 * unregularized['mean_auc'])}" in text


def test_colour_only_repeats_what_text_says():
    board, measured = with_gaps()
    coloured = shown(board, measured, 100, force_terminal=True, color_system="truecolor", no_color=False)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert "\n".join(line.rstrip() for line in plain.splitlines()) + "\n" == shown(board, measured, 100)
    codes = {code for group in re.findall(r"\x1b\[([0-9;]*)m", coloured) for code in group.split(";")}
    bold, dim, red, green, yellow, magenta, cyan = "1", "2", "31", "32", "33", "35", "36"
    assert codes <= {"0", bold, dim, red, green, yellow, magenta, cyan}  # no black, no white, no background


def test_gaps_have_reasons():
    text = shown(*with_gaps(), 140)
    assert f"neural: not run - {REASON}" in text
    assert "broken: failed - training diverged" in text
    assert "late - missing: square (seeds 0, 2)" in text
    assert "all recipes - square: depends on batch; failed on 3%" in text
    assert "Rows mix torch 2.11.0 and 2.15.0" in text
    assert "(late: Wilson" in text


def test_one_seed_without_measurements_and_empty():
    measured, board = tables(seeds=(4,))
    assert "95% intervals: Wilson over test images for the clean accuracy, none for the rest: one seed" in " ".join(
        shown(board, measured, 100).split()
    )
    assert "seed 4" in shown(board, measured.iloc[:0], 100)
    assert shown(board.iloc[:0], measured, 80) == "The leaderboard is empty.\n"


def test_names_are_not_markup():
    measured = measurements(recipes=("unregularized", "[red]", "[/]"), attacks=("[bold]",))
    board = build_leaderboard(settings(measured, rows(recipes=("unregularized", "[red]", "[/]"), attacks=("[bold]",))))
    text = shown(board, measured, 100)
    assert all(name in text for name in ("[red]", "[/]", "[bold]"))


def test_controls_stand_below_the_recipe_that_they_control():
    measured, board = tables()
    text = shown(board, measured, 100)
    order = ["thresholded", " decorrelated", " shuffled", " statistics", "pixel", "unregularized", "neural"]
    first, second = named(text, "# "), named(text, "")
    assert [name for name in first if name.strip() not in ("control", "not run", "")] == order
    assert [name for name in second if name] == order[:-1]


def named(text, before):
    """Return what stands in the column of recipes, of the first table that has it after ``before``."""
    lines = text.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith(f"{before}recipe "))
    return [line[len(before) : len(before) + 13].rstrip() for line in lines[start + 2 : lines.index("", start)]]


def test_ranks_are_intervals_with_the_letters_of_their_groups():
    measured, board = tables(seeds=tuple(range(7)))
    some = board["recipe"].isin(["pixel", "thresholded"])
    board.loc[some, ["rank", "rank_low", "rank_high", "group"]] = [1, 1, 2, "a,b"]
    text = shown(board, measured, 100)
    for row in board[board["rank"].notna()].to_dict("records"):
        ends = row["rank_low"], row["rank_high"]
        place = next(number for number, line in enumerate(text.splitlines()) if f" {row['recipe']} " in line)
        above, below = (line.split() for line in text.splitlines()[place : place + 2])
        assert above[0] == (f"{ends[0]}-{ends[1]}" if ends[0] < ends[1] else str(ends[0]))
        assert below[0] == row["group"]
    assert any(board["rank_low"] < board["rank_high"])
    assert any(board["rank_low"] == board["rank_high"])


def test_a_gain_has_the_colour_of_its_verdict_and_below_six_seeds_none():
    for seeds, said in ((range(3), "3 seeds: too few for a verdict"), (range(7), "Better than unregularized: thresh")):
        measured, board = tables(seeds=tuple(seeds))
        board.loc[board["recipe"] == "statistics", "verdict"] = "worse" if len(seeds) == 7 else "too few seeds"
        console = Console(file=io.StringIO(), width=160, force_terminal=True, color_system="standard")
        console.print(render(board, measured, *beside(measured, board), console_width=160))
        text = console.file.getvalue()
        assert said in text
        for row in board[board["gain"].notna()].to_dict("records"):
            gain = re.search(rf"\x1b\[(\d+)m\{share(row['gain'], signed=True)}\x1b", text)
            assert (gain[1] if gain else "") == {"better": "32", "worse": "31"}.get(row["verdict"], "")


def test_attacks_under_which_no_accuracy_halves_are_named():
    measured = measurements(attacks=(*ATTACKS, WORST_CASE))
    of_two = measured["attack"].isin(["uniform", WORST_CASE])
    measured.loc[of_two, "accuracy"] = 0.9
    board = build_leaderboard(settings(measured, rows()))
    said = re.findall(r"accuracy nowhere halves under ([^·\n]*)", shown(board, measured, 100))
    assert [text.strip() for text in said] == ["uniform (sigma 0.5)"]
    assert "nowhere halves" not in shown(*tables()[::-1], 100)


def test_headings_break_no_word_and_leave_out_what_all_attacks_share():
    attacks = tuple(f"corruption-{name}" for name in ("brightness", "motion", "snow-and-frost", "elastic"))
    measured, board = tables(attacks=attacks)
    for width in (60, 80, 160):
        text = shown(board, measured, width)
        heads = [line for line in text.split("accuracy  a")[0].splitlines() if not re.search(r"[\d─]", line)]
        words = {word for line in heads for word in line.split()}
        assert words >= {"brightness", "motion", "snow-and", "frost", "elastic"}
        assert not any("corruption" in word for word in words)
        assert "headings leave out corruption-" in text
    assert "headings leave out" not in shown(*tables()[::-1], 80)


def test_curves_are_told_by_letters_and_attacks_by_titles():
    measured, board = tables()
    text = shown(board, measured, 100)
    assert "accuracy  a unregularized  b thresholded  c decorrelated  d shuffled  e statistics\n" in text
    drawn = text[text.index("accuracy  a") :]
    assert all(attack in drawn for attack in ATTACKS)
    assert drawn.count("sigma 0.5") == 2  # gaussian and uniform
    assert drawn.count("linf 0.5") == drawn.count("l2 0.5") == drawn.count("probability 0.5") == 1
    assert "accuracy  a" not in shown(board, measured.iloc[:0], 100)


def test_images_that_were_judged_several_times_count_once():
    measured, board = tables()
    before = measuring_facts(board, measured)[0]
    often = measured["attack"] == "boundary"
    repeated = measured.assign(repetitions=measured["repetitions"].where(~often, 3))
    repeated["n"] = measured["n"].where(~often, 3 * measured["n"])
    assert measuring_facts(board, repeated)[0] == before
    fewer = measured.assign(n=measured["n"].where(~often, 7))
    assert measuring_facts(board, fewer)[0] == "500 test images (boundary 7)"
