"""Numbers as colours: a background and the text on it, so that both read alike on light and on dark terminals."""

SHADES = ("#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6dcd59", "#b4de2c", "#fde725")
"""Viridis (Smith and van der Walt, 2015): its lightness rises evenly, and the colour-blind see it rise."""

DARK_SHADES = 4
"""On so many of them white text has more contrast than black text."""

LEAST_RANGE = 0.2
"""A smaller range of scores is not spread over all shades, or differences that mean nothing would catch the eye."""


def shade(value: float, low: float, high: float) -> str:
    """Return the style of a number between two others, the ends of one scale for a whole table.

    >>> shade(0.2, 0.2, 0.8), shade(0.8, 0.2, 0.8)
    ('#ffffff on #440154', '#000000 on #fde725')
    """
    middle, half = (low + high) / 2, max(high - low, LEAST_RANGE) / 2
    place = min(int((value - middle + half) / (2 * half) * len(SHADES)), len(SHADES) - 1)
    return f"{'#ffffff' if place < DARK_SHADES else '#000000'} on {SHADES[place]}"
