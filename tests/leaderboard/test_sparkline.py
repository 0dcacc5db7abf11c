import numpy as np
import pytest

from robustbench_pix.leaderboard.terminal.plots import BLOCKS, sparkline


@pytest.mark.parametrize(
    ("values", "width", "expected"),
    [
        (np.arange(1, 9) / 8, 8, BLOCKS),
        ([1.0, 1.0], 5, "█████"),
        ([0.0], 3, "▁▁▁"),
        ([1.0, 0.0], 3, "█▄▁"),
        ([0.5, float("nan"), 0.5], 3, "▄ ▄"),
        ([], 4, "    "),
    ],
)
def test_known_lines(values, width, expected):
    assert sparkline(values, width) == expected


@pytest.mark.parametrize("width", [1, 2, 8, 33])
def test_width_and_monotony(width):
    line = sparkline(np.linspace(1, 0, 11) ** 2, width)
    assert len(line) == width
    assert list(line) == sorted(line, reverse=True)
