"""A board: what was measured, what was requested, and every table that follows from both.

Whatever shows, compares, draws or publishes results reads it, whether it is of runs or of a published folder.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import pandas as pd

from robustbench_pix.errors import unknown
from robustbench_pix.results.collapses import collapses
from robustbench_pix.results.columns import COSTS, PICTURES, QUERIES, SAMPLING, TRAININGS, Column, typed
from robustbench_pix.results.costs import recipe_costs
from robustbench_pix.results.derived_columns import AGGREGATES, AUCS, COMPARISONS, RECIPE_COSTS, leaderboard_columns
from robustbench_pix.results.provenance import Provenance, empty
from robustbench_pix.results.published import reading
from robustbench_pix.results.published.csv_io import as_published
from robustbench_pix.results.statistics.aggregates import aggregates
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.aucs import build_aucs
from robustbench_pix.results.statistics.comparisons import build_comparisons
from robustbench_pix.results.statistics.measured import Setting, settings

Loader = Callable[[], pd.DataFrame]

DERIVED = ("leaderboard", "aucs", "comparisons", "aggregates", "recipe_costs")
"""What follows from the other tables."""


@dataclass(frozen=True, eq=False)
class Board:
    """Tables of one board, loaded or derived when they are first used; numbers have ten significant digits.

    Attributes:
        measurements: the columns ``MEASUREMENTS``.
        requested: the columns ``REQUESTED``, a row a recipe and setting.
        sampling: the columns ``SAMPLING``; where a setting is absent, intervals are over seeds alone.
        loaders: how to get ``queries``, ``costs``, ``pictures`` and ``trainings``, empty without one, and derived
            tables that are not to be derived.
        origins: how to get the provenance.
        origin: a sentence that says where the board comes from.
        folder: where it is published, None for a board of runs.
    """

    measurements: pd.DataFrame
    requested: pd.DataFrame
    sampling: pd.DataFrame = field(default_factory=lambda: typed(pd.DataFrame(), SAMPLING))
    loaders: Mapping[str, Loader] = field(default_factory=dict)
    origins: Callable[[], Provenance] = empty
    origin: str = ""
    folder: Path | None = None

    @cached_property
    def settings(self) -> list[Setting]:
        """The settings with the results of their recipes, in the order in which they were requested."""
        return settings(self.measurements, self.requested)

    @cached_property
    def leaderboard(self) -> pd.DataFrame:
        """As ``build_leaderboard`` returns it."""
        if "leaderboard" in self.loaders:
            return self.loaders["leaderboard"]()
        derived = build_leaderboard(self.settings, self.sampling, self.trainings)
        return as_published(derived, leaderboard_columns(derived.columns))

    @cached_property
    def aucs(self) -> pd.DataFrame:
        """The columns ``AUCS``."""
        return self._table("aucs", AUCS, lambda: build_aucs(self.settings, self.sampling))

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """The columns ``COMPARISONS``."""
        return self._table("comparisons", COMPARISONS, lambda: build_comparisons(self.settings, self.sampling))

    @cached_property
    def aggregates(self) -> pd.DataFrame:
        """The columns ``AGGREGATES``."""
        return self._table("aggregates", AGGREGATES, lambda: aggregates(self.settings))

    @cached_property
    def recipe_costs(self) -> pd.DataFrame:
        """The columns ``RECIPE_COSTS``."""
        return self._table("recipe_costs", RECIPE_COSTS, lambda: recipe_costs(self.measurements, self.costs))

    @cached_property
    def queries(self) -> pd.DataFrame:
        """The columns ``QUERIES``: success and distance against queries."""
        return self._table("queries", QUERIES)

    @cached_property
    def costs(self) -> pd.DataFrame:
        """The columns ``COSTS``: what each run cost."""
        return self._table("costs", COSTS)

    @cached_property
    def pictures(self) -> pd.DataFrame:
        """The columns ``PICTURES``: example images with what attacks made of them."""
        return self._table("pictures", PICTURES)

    @cached_property
    def trainings(self) -> pd.DataFrame:
        """The columns ``TRAININGS``: whether each training converged, and on which layer its weights collapsed."""
        return self._table("trainings", TRAININGS)

    @cached_property
    def collapses(self) -> pd.DataFrame:
        """The columns ``COLLAPSES``: outcomes by the layer that learned weights collapsed on."""
        return collapses(self.settings, self.trainings)

    @cached_property
    def provenance(self) -> Provenance:
        """Where every row comes from."""
        return self.origins()

    def _table(self, name: str, columns: tuple[Column, ...], derive: Loader = pd.DataFrame) -> pd.DataFrame:
        return as_published(self.loaders.get(name, derive)(), columns)

    def derived_again(self) -> "Board":
        """Return the board with every derived table derived, whatever was published."""
        again = replace(self, loaders={name: load for name, load in self.loaders.items() if name not in DERIVED})
        vars(again)["settings"] = self.settings  # of the same tables: reckoned once
        return again

    def select(self, suite: str | None = None, combinations: Collection[str] = ()) -> "Board":
        """Return the board of one suite and of some combinations, ``task:images``; no number changes.

        Means over combinations stay those over all of them.

        Raises:
            UserError: the board has nothing for one of them.
        """
        if suite is not None and suite not in (suites := set(self.requested["suite"])):
            raise unknown("suite on this board", suite, suites, list_with="rbp leaderboard")
        rows = self.requested if suite is None else self.requested[self.requested["suite"] == suite]
        known = set(combinations_of(rows))
        if missing := sorted(set(combinations) - known):
            raise unknown("combination on this board", missing[0], known, list_with="rbp leaderboard")

        def chosen(name: str) -> pd.DataFrame:
            table: pd.DataFrame = getattr(self, name)
            table = table[table["suite"] == suite] if suite is not None and "suite" in table else table
            table = table[combinations_of(table).isin(combinations)] if combinations and "task" in table else table
            return table.reset_index(drop=True)

        return replace(
            self,
            measurements=chosen("measurements"),
            requested=chosen("requested"),
            sampling=chosen("sampling"),
            loaders={name: partial(chosen, name) for name in (*DERIVED, "queries", "costs", "pictures", "trainings")},
        )


def published_board(folder: Path) -> Board:
    """Return the board that is published in a folder: its tables as they stand there.

    Raises:
        UserError: nothing is published there, or a file is damaged or has other columns than it should.
    """
    return Board(
        *reading.read_published(folder),
        reading.read_beside(folder, "sampling.csv"),
        loaders={
            "leaderboard": partial(reading.read_leaderboard, folder),
            **{name: partial(reading.read_beside, folder, file) for name, file in reading.TABLES.items()},
        },
        origins=lambda: reading.read_provenance(folder) or empty(),
        origin=f"As published in {folder}.",
        folder=folder,
    )


def combinations_of(table: pd.DataFrame) -> "pd.Series[str]":
    """Return ``task:images`` of every row."""
    return table["task"] + ":" + table["regularization_data"]
