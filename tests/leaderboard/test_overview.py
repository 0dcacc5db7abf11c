import io
import re

import pandas as pd
import pytest
from rich.console import Console

from robustbench_pix.leaderboard.terminal.overview import render_overview
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.measured import settings
from tests.tables import block, measurements, rows

COMBINATIONS = [block("digits", "digits"), block("mnist", "natural", size="reduced"), block("cifar10", "cifar10")]


def made(blocks=COMBINATIONS, **options):
    measured = [measurements(of, key=place, **options) for place, of in enumerate(blocks)]
    return build_leaderboard(settings(pd.concat(measured), pd.concat([rows(of, **options) for of in blocks])))


def shown(board, width=100, aggregates=None, **options):
    console = Console(file=io.StringIO(), width=width, **options)
    console.print(render_overview(board, width, aggregates))
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def cells_of(text, recipe):
    """Return the marked scores of a recipe, over all tables."""
    lines = [line.split() for line in text.split("score:")[0].splitlines()]
    return [cell for line in lines if line[:1] == [recipe] for cell in line[1:]]


def mean_aucs(board, recipe):
    return board.loc[board["recipe"] == recipe, "mean_auc"].tolist()


def digits(cell):
    return float(re.sub(r"[^\d.]", "", cell))


@pytest.mark.parametrize("width", [40, 48, 80, 100, 160])
def test_every_score_and_the_mean_are_there_at_every_width(width):
    board = made()
    text = shown(board, width)
    assert max(map(len, text.splitlines())) <= width
    for recipe in ("unregularized", "pixel", "thresholded", "decorrelated", "shuffled", "statistics"):
        expected = mean_aucs(board, recipe)
        expected.append(sum(expected) / 3)
        assert [digits(cell) for cell in cells_of(text, recipe)] == pytest.approx(expected, abs=5.1e-4)
    assert cells_of(text, "neural") == ["–"] * 3


SEVEN = tuple(range(7))


def test_marks_say_what_the_verdicts_say():
    board = made(seeds=SEVEN)
    tied = (board["task"] == "mnist") & board["recipe"].isin(["pixel", "thresholded"])
    board.loc[tied, "rank"] = 1
    board.loc[tied, "verdict"] = "not significant"
    board.loc[(board["task"] == "digits") & (board["recipe"] == "statistics"), "verdict"] = "worse"
    text = shown(board)
    for recipe in ("pixel", "thresholded", "shuffled", "statistics"):
        of = board[board["recipe"] == recipe]
        signs = [{"better": "+", "worse": "-"}.get(verdict, "") for verdict in of["verdict"]]
        stars = ["*" if rank == 1 else "" for rank in of["rank"]]
        marks = [star + sign for star, sign in zip(stars, signs, strict=True)]
        assert [re.sub(r"[\d.]", "", cell) for cell in cells_of(text, recipe)] == [*marks, ""]
    assert text.count("*.") == (board["rank"] == 1).sum() == 4
    assert "=" not in "".join(cells_of(text, "pixel"))
    assert "too few" not in text


def test_below_six_seeds_nothing_is_marked_and_it_says_how_many_are_needed():
    text = shown(made())
    for recipe in ("pixel", "thresholded", "unregularized"):
        assert all(re.fullmatch(r"\.\d{3}", cell) for cell in cells_of(text, recipe))
    needed = "3 seeds: too few for a verdict; 6 needed: rbp run --seeds 6."
    assert f"digits:digits, mnist:natural, cifar10:cifar10: {needed}" in " ".join(text.split())


def test_controls_are_indented_below_their_claim_and_claims_ordered_by_their_lead():
    text = shown(made())
    order = [line[:14].rstrip() for line in text.split("─\n")[1].split("\n\n")[0].split("\n") if line]
    names = [name for name in order if name.strip() not in ("decorrelated", "statistics")]
    assert names == ["thresholded", "  shuffled", "pixel", "unregularized", "neural"]
    assert "indented: control of the recipe above" in text
    assert "indented" not in shown(made(recipes=("unregularized", "pixel")))


def test_a_mean_needs_all_combinations_and_a_gap_is_blank():
    board = made()
    board = board[(board["recipe"] != "pixel") | (board["task"] != "mnist")]
    text = shown(board)
    assert [digits(cell) for cell in cells_of(text, "pixel")] == pytest.approx(mean_aucs(board, "pixel"), abs=5.1e-4)
    assert len(cells_of(text, "thresholded")) == 4
    assert "mean\n" not in shown(made(COMBINATIONS[:1]))


def test_doubts_and_failures_show():
    board = made()
    assert "!" not in shown(board)
    place = board.index[board["recipe"] == "pixel"]
    board.loc[place[0], "gradients"] = "masked in 1 of 3 models: why"
    board.loc[place[1], "status"] = "incomplete"
    board.loc[place[2], ["status", "mean_auc"]] = ["failed", float("nan")]
    text = shown(board)
    assert [cell[-1] for cell in cells_of(text, "pixel")[:2]] == ["!", "!"]
    assert cells_of(text, "pixel")[2:] == ["failed"]
    assert "! incomplete, or masked gradients" in text


def test_headings_tell_blocks_apart():
    blocks = [block("digits"), block("digits", size="tiny"), block("mnist", "natural", size="reduced")]
    heading = shown(made(blocks)).split("─")[0].split()
    assert [heading.count(word) for word in ("digits", "full", "tiny", "natural", "reduced")] == [2, 1, 1, 1, 1]
    suites = shown(made([block(), block(suite="noise", suite_version=3)]))
    assert "suite blackbox 1, strict protocol" in suites
    assert "suite noise 3, strict protocol" in suites


def means(recipe, mean, better, **changed):
    """Return a line of means over combinations, its intervals 0.1 down and 0.2 up."""
    named = {name: block()[name] for name in ("suite", "suite_version", "protocol", "size", "precision")}
    numbers = {"mean": mean, "mean_low": mean - 0.1, "mean_high": mean + 0.2}
    numbers |= {
        "probability_of_improvement": better,
        "probability_of_improvement_low": better - 0.1,
        "probability_of_improvement_high": better + 0.2,
    }
    return named | changed | {"recipe": recipe, "combinations": 3, "models": 9} | numbers


def test_means_over_combinations_stand_below_their_suite_apart_by_size_and_precision():
    lines = [
        means("unregularized", 0.4, float("nan")),
        means("pixel", 0.6, 0.7),
        means("pixel", 0.5, 0.4, size="tiny"),
        means("pixel", 0.3, 0.2, precision="bfloat16"),
        means("pixel", 0.15, 0.2, protocol="paper"),
        means("pixel", 0.16, 0.2, suite_version=2),
        means("pixel", 0.17, 0.2, suite="noise"),
    ]
    text = shown(made(), aggregates=pd.DataFrame(lines))
    full, tiny, half = text.split("IQM: interquartile")[:3]
    lines = [line.split() for line in full.splitlines()]
    found = [of for place, line in enumerate(lines) if line[1:3] == ["3", "9"] for of in lines[place : place + 2]]
    assert found == [
        ["pixel", "3", "9", "*.600", ".700"],
        [".500–.800", ".600–.900"],
        ["unregularized", "3", "9", ".400", "–"],
        [".300–.600"],
    ]
    assert [line.split() for line in tiny.splitlines()[-3:-1]] == [
        ["pixel", "3", "9", ".500", ".400"],
        [".400–.700", ".300–.600"],
    ]
    assert "\nsize tiny" in tiny[-20:]
    assert [line.split() for line in half.splitlines()[-3:-1]] == [
        ["pixel", "3", "9", ".300", ".200"],
        [".200–.500", ".100–.400"],
    ]
    assert "\nbfloat16" in half[-20:]
    assert not re.search(r"\.1[567]0 ", text)
    assert text.count("P(higher):") == 3


def test_the_hint_names_a_combination_that_is_there():
    assert shown(made()).endswith("rbp leaderboard --on digits\n")
    assert shown(made(COMBINATIONS[1:])).endswith("rbp leaderboard --on mnist:natural\n")


def test_colour_only_repeats_what_text_says():
    board = made()
    coloured = shown(board, force_terminal=True, color_system="truecolor", no_color=False)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert "\n".join(line.rstrip() for line in plain.splitlines()) + "\n" == shown(board)
    grounds = re.findall(r"\x1b\[([\d;]*48;2[\d;]*)m", coloured)
    assert len(grounds) == 6 * 4 + 3
    assert all("38;2;" in codes for codes in grounds)  # the text on a colour has its own, whatever the terminal
    silent = shown(board, force_terminal=True, color_system="truecolor", no_color=True)
    assert not re.search(r"\x1b\[[\d;]*[34]8;", silent)
