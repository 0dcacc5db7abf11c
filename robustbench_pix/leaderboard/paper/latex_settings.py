"""What every LaTeX table of a setting has: its rows in order, the names at their left, and the words of its caption."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pandas as pd

from robustbench_pix.leaderboard import captions
from robustbench_pix.leaderboard.display import MASKED, Cell, beside_claims
from robustbench_pix.leaderboard.paper import latex
from robustbench_pix.leaderboard.paper.figure_style import STRENGTHS, setting_name
from robustbench_pix.results.columns import SETTING

HALF = "±: half of the 95% interval"
INDENTED = "indented: control of the recipe above"
BEST = "bold: of a mean AUC, no recipe is better; elsewhere the highest, without a verdict"


class SettingRows(NamedTuple):
    """A setting of a board: the rows of its leaderboard, each claim with its controls below, and their measurements."""

    key: tuple[object, ...]
    rows: pd.DataFrame
    measured: pd.DataFrame
    below: dict[str, bool]

    def of(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of another table that are of this setting, in its order of recipes."""
        chosen = table[(table[SETTING] == list(self.key)).all(axis="columns") & table["recipe"].isin(list(self.below))]
        places = {recipe: place for place, recipe in enumerate(self.below)}
        return chosen.sort_values("recipe", key=lambda names: names.map(places), kind="stable", ignore_index=True)

    def name(self, recipe: str) -> Cell:
        """Return the name of a recipe, indented below the claim that it controls."""
        return Cell(recipe, words=True, indent=self.below[recipe])

    def label(self, kind: str, *parts: object) -> str:
        """Return the name by which a table of this setting is referred to."""
        return latex.label("tab", kind, *self.key, *parts)

    def scored(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of recipes that have a mean AUC; only of them one is marked as the best."""
        return table[table["recipe"].isin(self.rows.loc[self.rows["mean_auc"].notna(), "recipe"])]

    def caption(self, title: str, columns: Sequence[str]) -> str:
        """Return a caption as LaTeX: what is shown of which setting, what its columns mean, how it was measured."""
        indented = [INDENTED] if any(self.below.values()) else []
        measured = captions.measuring_facts(self.rows, self.measured)
        doubts = [f"Notes: {'; '.join(told)}."] if (told := self._doubts()) else []
        shown = f"{title} on {setting_name(self.rows.iloc[0])[0]}: {'; '.join([*columns, *indented])}."
        mixed = captions.mixtures(self.measured)
        said = [f"Verdicts: {'; '.join(told)}."] if (told := captions.verdicts(self.rows)) else []
        return latex.escaped(" ".join([shown, *said, f"Measured: {'; '.join(measured)}.", *mixed, *doubts]))

    def _doubts(self) -> list[str]:
        """Return what is wrong with rows, or unusual about them."""
        told = [f"{recipe} {status}: {reason}" for recipe, status, reason in captions.stopped(self.rows)]
        told += [f"{recipes}: {remark}" for recipes, remark in captions.remarks(self.rows)]
        hidden = self.rows.loc[self.rows["gradients"].str.startswith("masked"), "recipe"]
        return [*told, *([f"{MASKED}: {', '.join(hidden)}"] if len(hidden) else [])]


def kind_name(kind: str) -> str:
    """Return what a kind of strength is called, as LaTeX."""
    return STRENGTHS.get(kind) or latex.escaped(kind)


def settings_of(leaderboard: pd.DataFrame, measurements: pd.DataFrame) -> Iterator[SettingRows]:
    """Return the settings of a board.

    Args:
        leaderboard: As ``build_leaderboard`` returns it.
        measurements: What it was built from.
    """
    measured = dict(iter(measurements.groupby(SETTING, sort=False)))
    for key, rows in leaderboard.groupby(SETTING, sort=False):
        below = dict(beside_claims(dict(zip(rows["recipe"], rows["controls"], strict=True))))
        yield SettingRows(key, rows, measured.get(key, measurements.iloc[:0]), below)
