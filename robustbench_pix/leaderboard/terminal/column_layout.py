"""Which columns stand side by side where a terminal has no room for all."""

from collections.abc import Sequence


def packed(widths: Sequence[int], room: int) -> list[list[int]]:
    """Return the places of columns, in order, over as few tables as hold them, none wider than need be.

    A column that is wider than the room stands alone.

    >>> packed([5, 5, 5, 5], 16), packed([5, 30, 5], 16)
    ([[0, 1], [2, 3]], [[0], [1], [2]])
    """
    fewest = len(_filled(widths, room))
    return next(
        tables
        for limit in range(max(widths, default=0), max([room, *widths]) + 1)
        if len(tables := _filled(widths, limit)) <= fewest
    )


def _filled(widths: Sequence[int], room: int) -> list[list[int]]:
    """Return the places of columns, each table filled before the next begins."""
    tables: list[list[int]] = []
    left = 0
    for place, width in enumerate(widths):
        if not tables or width > left:
            tables.append([])
            left = room
        tables[-1].append(place)
        left -= width
    return tables
