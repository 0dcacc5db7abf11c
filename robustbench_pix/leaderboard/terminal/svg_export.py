"""The leaderboard as a picture of a terminal: an SVG that asks no other machine for anything."""

import io
import re

import pandas as pd
from rich.console import Console

from robustbench_pix.leaderboard.terminal.detail import render
from robustbench_pix.leaderboard.terminal.overview import render_overview
from robustbench_pix.results.columns import SETTING, typed
from robustbench_pix.results.derived_columns import RECIPE_COSTS

FONTS = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"


def svg(
    leaderboard: pd.DataFrame,
    measurements: pd.DataFrame,
    aucs: pd.DataFrame,
    width: int = 110,
) -> str:
    """Return the leaderboard as SVG, ``width`` characters wide: the overview, if there is one, then the first setting.

    All settings would make a picture that nobody scrolls through; the page has them. Equal tables give equal text;
    seconds are left out, since they never repeat.
    """
    # Everything that rich would otherwise guess from the environment is said, or the bytes would depend on it.
    console = Console(
        file=io.StringIO(),
        width=width,
        record=True,
        color_system="truecolor",
        no_color=False,
        force_terminal=False,
        force_jupyter=False,
        legacy_windows=False,
    )
    settings = leaderboard[SETTING].drop_duplicates()
    if len(settings) > 1:
        console.print(render_overview(leaderboard, width), "", sep="\n")
    first = leaderboard.merge(settings.head(1), on=SETTING)
    no_costs = typed(pd.DataFrame(), RECIPE_COSTS)
    console.print(render(first, measurements, aucs, no_costs, console_width=width))
    return _local(console.export_svg(title="rbp leaderboard", unique_id="rbp"))


def _local(text: str) -> str:
    """Take the remote fonts and the comment with an address out of rich's SVG, and name fonts that machines have."""
    text = re.sub(r"@font-face\s*\{.*?\}\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    return re.sub(r"font-family:\s*Fira Code[^;]*;", f"font-family: {FONTS};", text)
