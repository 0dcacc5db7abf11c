from itertools import combinations

import numpy as np
import pytest

from robustbench_pix.leaderboard.display_table import packed


def every_split(count):
    """Return all ways to cut a row of columns into tables."""
    for cuts in range(count):
        for ends in combinations(range(1, count), cuts):
            yield [list(range(start, end)) for start, end in zip((0, *ends), (*ends, count), strict=True)]


@pytest.mark.parametrize("seed", range(20))
def test_no_other_split_has_fewer_tables_or_a_narrower_widest(seed):
    random = np.random.default_rng(seed)
    widths = random.integers(1, 12, random.integers(1, 9)).tolist()
    room = int(random.integers(max(widths), 30))

    def cost(tables):
        return len(tables), max(sum(widths[place] for place in table) for table in tables)

    found = packed(widths, room)
    assert [place for table in found for place in table] == list(range(len(widths)))
    possible = [cost(tables) for tables in every_split(len(widths)) if cost(tables)[1] <= room]
    assert cost(found) == min(possible)


def test_columns_wider_than_the_room_stand_alone():
    assert packed([20, 3, 3, 20], 8) == [[0], [1, 2], [3]]
    assert packed([], 10) == []
