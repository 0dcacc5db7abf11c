from itertools import pairwise

import numpy as np
import pytest

from robustbench_pix.leaderboard.terminal.plots import AXIS, HEIGHT, plot

ROWS = 4 * HEIGHT


def lit(lines, width):
    """Return which dots are lit, decoded from the names that Unicode gives them: dots 1237 left, 4568 right."""
    dots = np.zeros((ROWS, 2 * (width - AXIS)), dtype=bool)
    for row, line in enumerate(lines[1:-1]):
        for column, character in enumerate(line.plain[AXIS:]):
            bits = ord(character) - 0x2800 if ord(character) >= 0x2800 else 0
            for place, number in enumerate((1, 2, 3, 7, 4, 5, 6, 8)):
                dots[4 * row + place % 4, 2 * column + place // 4] = bits >> (number - 1) & 1
    return dots


def without_letters(curve, width, monkeypatch):
    monkeypatch.setattr("robustbench_pix.leaderboard.terminal.plots.LETTERS_ON_A_CURVE", 0)
    return lit(plot([np.asarray(curve)], "title", "end", width), width)


@pytest.mark.parametrize(
    "curve", [[1.0, 1.0], [0.0, 0.0], [1.0, 0.0], [0.9, 0.1, 0.5], [1.0, 1.0, 0.0, 0.0], [2.0, -1.0]]
)
def test_a_curve_passes_through_its_values_and_has_no_gaps(curve, monkeypatch):
    width = 33
    dots = without_letters(curve, width, monkeypatch)
    assert dots.any(axis=0).all()
    values = np.clip(np.interp(np.linspace(0, len(curve) - 1, dots.shape[1]), range(len(curve)), curve), 0, 1)
    for column, value in enumerate(values):
        assert dots[round((1 - value) * (ROWS - 1)), column]
    spans = [np.flatnonzero(column) for column in dots.T]
    assert all(span[-1] - span[0] == len(span) - 1 for span in spans)
    touching = [max(before[0], after[0]) - min(before[-1], after[-1]) <= 1 for before, after in pairwise(spans)]
    assert all(touching)


def test_letters_stand_on_their_own_curve_and_curves_that_coincide_keep_theirs():
    high, low = np.array([0.9, 0.9]), np.array([0.1, 0.1])
    lines = [line.plain for line in plot([high, low, high, None], "t", "1", 43)]
    assert [line for line in lines if "a" in line] == [line for line in lines if "c" in line] == lines[1:2]
    assert [line for line in lines if "b" in line] == lines[HEIGHT : HEIGHT + 1]
    assert not any("d" in line for line in lines)
    assert lines[1].count("a") == lines[1].count("c") == 2


def test_five_curves_in_one_have_all_their_letters():
    line = plot([np.array([0.9, 0.9])] * 5, "", "", AXIS + 10)[1].plain
    assert sorted(line[AXIS:]) == sorted("abcde" * 2)


def test_every_line_is_as_wide_as_asked():
    for width in (20, 33, 46):
        lines = plot(
            [np.array([0.9, 0.2])] * 5, "a title that is longer than the plot is wide, surely", "l2 0.5", width
        )
        assert {len(line) for line in lines} == {width}
        assert len(lines) == HEIGHT + 2
        assert lines[-1].plain.split() == ["0", "l2", "0.5"]
