"""What every LaTeX table of a block has: its rows in order, the names at their left, and the words of its caption."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pandas as pd

from robustbench_pix.leaderboard import facts
from robustbench_pix.leaderboard.cells import MASKED
from robustbench_pix.leaderboard.order import beside_claims
from robustbench_pix.leaderboard.paper import latex
from robustbench_pix.leaderboard.paper.figure_style import STRENGTHS, block_name
from robustbench_pix.results.frames import BLOCK

HALF = "±: half of the 95% interval"
INDENTED = "indented: control of the recipe above"
BEST = "bold: the best of a column"


class Block(NamedTuple):
    """A block of a board: the rows of its leaderboard, each claim with its controls below, and their measurements."""

    key: tuple[object, ...]
    rows: pd.DataFrame
    measured: pd.DataFrame
    below: dict[str, bool]

    def of(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of another table that are of this block, in its order of recipes."""
        chosen = table[(table[BLOCK] == list(self.key)).all(axis="columns") & table["recipe"].isin(list(self.below))]
        places = {recipe: place for place, recipe in enumerate(self.below)}
        return chosen.sort_values("recipe", key=lambda names: names.map(places), kind="stable", ignore_index=True)

    def name(self, recipe: str) -> str:
        """Return the name of a recipe as LaTeX, indented below the claim that it controls."""
        return r"\quad " * self.below[recipe] + latex.escaped(recipe)

    def label(self, kind: str, *parts: object) -> str:
        """Return the name by which a table of this block is referred to."""
        return latex.label("tab", kind, *self.key, *parts)

    def scored(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of recipes that have a score; only of them one is marked as the best."""
        return table[table["recipe"].isin(self.rows.loc[self.rows["score"].notna(), "recipe"])]

    def caption(self, title: str, columns: Sequence[str]) -> str:
        """Return a caption as LaTeX: what is shown of which block, what its columns mean, how it was measured."""
        indented = [INDENTED] if any(self.below.values()) else []
        measured = facts.measuring_facts(self.rows, self.measured)
        doubts = [f"Notes: {'; '.join(told)}."] if (told := self._doubts()) else []
        shown = f"{title} on {block_name(self.rows.iloc[0])[0]}: {'; '.join([*columns, *indented])}."
        mixed = facts.mixtures(self.measured)
        return latex.escaped(" ".join([shown, f"Measured: {'; '.join(measured)}.", *mixed, *doubts]))

    def _doubts(self) -> list[str]:
        """Return what is wrong with rows, or unusual about them."""
        told = [f"{recipe} {status}: {reason}" for recipe, status, reason in facts.stopped(self.rows)]
        told += [f"{recipes}: {remark}" for recipes, remark in facts.remarks(self.rows)]
        hidden = self.rows.loc[self.rows["gradients"].str.startswith("masked"), "recipe"]
        return [*told, *([f"{MASKED}: {', '.join(hidden)}"] if len(hidden) else [])]


def kind_name(kind: str) -> str:
    """Return what a kind of strength is called, as LaTeX."""
    return STRENGTHS.get(kind) or latex.escaped(kind)


def board_blocks(leaderboard: pd.DataFrame, measurements: pd.DataFrame) -> Iterator[Block]:
    """Return the blocks of a board.

    Args:
        leaderboard: As ``build_leaderboard`` returns it.
        measurements: What it was built from.
    """
    measured = dict(iter(measurements.groupby(BLOCK, sort=False)))
    for key, rows in leaderboard.groupby(BLOCK, sort=False):
        below = dict(beside_claims(dict(zip(rows["recipe"], rows["controls"], strict=True))))
        yield Block(key, rows, measured.get(key, measurements.iloc[:0]), below)
