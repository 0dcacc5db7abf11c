"""The matrix of a transfer attack in numbers: sources down, victims across, and a mean for each kind of source."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from robustbench_pix.results.derived_columns import AUC_PREFIX

SOURCE = ["source_recipe", "source_network", "source_seed"]
"""What a row is about; ``source_seed`` counts source models from 0."""

MEAN = "mean_robustness"
ALL = "all"
DIGITS = 10


def matrix(
    sources: Sequence[tuple[str, str, int]], leaderboards: Sequence[pd.DataFrame], recipes: Sequence[str], attack: str
) -> pd.DataFrame:
    """Return AUCs, one row a source: ``SOURCE``, ``statistic``, ``same_recipe``, a column a victim, their mean.

    A victim's column is named ``auc_<recipe>``: the mean over its seeds, as on the board. ``statistic`` is
    ``auc``; after several seeds of a recipe and network come rows with their ``mean`` and their standard
    ``deviation`` (n - 1), and after several rows the ``mean`` of all. ``same_recipe`` names the victim that was trained
    as the source was. Where a number is absent, so is every mean of it; victims that were not run have no column.

    Args:
        sources: recipe, network and seed of each source.
        leaderboards: of each source, as ``build_leaderboard`` returns it for the attack from this source.
        recipes: of the victims, in the order of their columns.
        attack: the attack's name.
    """
    victims = pd.DataFrame([_of_victims(leaderboard, recipes, attack) for leaderboard in leaderboards])
    victims[MEAN] = victims.mean(axis="columns", skipna=False)
    rows = []
    kinds = list(dict.fromkeys((recipe, network) for recipe, network, _ in sources))
    for kind in kinds:
        places = [place for place, source in enumerate(sources) if source[:2] == kind]
        rows += [_row(sources[place], "auc", victims.iloc[place]) for place in places]
        if len(places) > 1:
            of_kind = victims.iloc[places]
            rows.append(_row((*kind, None), "mean", of_kind.mean(skipna=False)))
            rows.append(_row((*kind, None), "deviation", of_kind.std(ddof=1, skipna=False)))
    if len(kinds) > 1:
        rows.append(_row((ALL, ALL, None), "mean", victims.mean(skipna=False)))
    return pd.DataFrame(rows).astype({"source_seed": "Int64"})


def _of_victims(leaderboard: pd.DataFrame, recipes: Sequence[str], attack: str) -> dict[str, float]:
    ran = leaderboard[leaderboard["status"] != "not run"].set_index("recipe")[AUC_PREFIX + attack]
    return {AUC_PREFIX + recipe: ran[recipe] for recipe in recipes if recipe in ran}


def _row(source: tuple[str, str, int | None], statistic: str, values: "pd.Series[float]") -> dict[str, Any]:
    same = source[0] if AUC_PREFIX + source[0] in values.index else ""
    facts = {"statistic": statistic, "same_recipe": same}
    return {**dict(zip(SOURCE, source, strict=True)), **facts, **dict(values.round(DIGITS))}
