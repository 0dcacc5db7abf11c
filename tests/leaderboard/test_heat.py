import re

import pytest

from robustbench_pix.leaderboard.terminal.overview import LEAST_RANGE, SHADES, shade


def luminance(colour):
    """Return the relative luminance of "#rrggbb" (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("place", range(len(SHADES)))
def test_every_shade_can_be_read(place):
    text, ground = re.fullmatch(r"(#\w{6}) on (#\w{6})", shade(place / len(SHADES) + 0.01, 0, 1)).groups()
    assert ground == SHADES[place]
    light, dark = sorted((luminance(text), luminance(ground)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2.2, level AA


def test_a_higher_score_is_lighter():
    lights = [luminance(shade(value / 100, 0.2, 0.7)[-7:]) for value in range(20, 71)]
    assert lights == sorted(lights)
    assert lights[0] < lights[-1]


def test_scores_that_hardly_differ_are_hardly_told_apart():
    middle = SHADES.index(shade(0.5, 0.49, 0.51)[-7:])
    assert {shade(value, 0.49, 0.51)[-7:] for value in (0.49, 0.5, 0.51)} <= set(SHADES[middle - 1 : middle + 2])
    assert shade(0.5, 0.5, 0.5)[-7:] == SHADES[middle]
    assert LEAST_RANGE > 0.02
