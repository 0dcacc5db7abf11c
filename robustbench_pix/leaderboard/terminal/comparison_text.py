"""Two recipes beside each other: one sentence for the mean AUC, with the board's verdict, and a line an attack."""

from typing import Any

import numpy as np

from robustbench_pix.leaderboard.display import ABSENT, share
from robustbench_pix.results.statistics.comparisons import Pair, short
from robustbench_pix.results.statistics.sampling import MEAN_AUC
from robustbench_pix.results.statistics.verdicts import BETTER, NOT_SIGNIFICANT, TOO_FEW, WORSE, Comparison, needed

OPENINGS = {
    BETTER: "{first} is better than {second}",
    WORSE: "{first} is worse than {second}",
    NOT_SIGNIFICANT: "The difference between {first} and {second} is not significant",
    TOO_FEW: "No verdict on {first} and {second}",
}
PER_ATTACK = "By attack: numbers without a verdict; their intervals are not corrected for how many there are."


def sentences(pair: Pair, first: str, second: str) -> list[str]:
    """Return the verdict with the difference in mean AUC and its interval; then what the lines of attacks are."""
    if not pair.lines:
        return [f"{first} and {second} share no seed, so nothing pairs them."]
    if pair.comparison is None:
        return ["No seed of both has every attack of the suite.", PER_ATTACK]
    mean_auc = next(line for line in pair.lines if line["measure"] == MEAN_AUC)
    said = [_about_score(pair.comparison, mean_auc, first, second)]
    return said + [PER_ATTACK] * (len(pair.lines) > 1)


def attack_rows(pair: Pair, first: str, second: str) -> list[dict[str, str]]:
    """Return the cells of one line an attack: the AUC of both, and their difference with its interval."""
    return [
        {
            "attack": line["measure"],
            first: share(line["first"]),
            second: share(line["second"]),
            "difference": share(line["difference"], signed=True),
            "95% CI": interval(line["low"], line["high"]),
        }
        for line in pair.lines
        if line["measure"] != MEAN_AUC
    ]


def stability(views: list[dict[str, Any]], first: str, second: str) -> str:
    """Return in one sentence whether sign and interval are the same in all views, as ``sensitivity`` returns them."""
    if not views:
        return f"No seed of both {first} and {second} has every attack of the suite."
    mean_auc, count = views[0], len(views)
    same = sum(np.sign(view["difference"]) == np.sign(mean_auc["difference"]) for view in views)
    sign = f"has the sign of the mean AUC's difference in {'all' if same == count else f'{same} of'} {count} views"
    said = f"The difference {first} - {second} {sign}"
    if np.isnan(mean_auc["low"]):
        return f"{said}; with one seed there is no interval."
    apart = sum(view["low"] > 0 or view["high"] < 0 for view in views)
    does = "excludes" if mean_auc["low"] > 0 or mean_auc["high"] < 0 else "includes"
    return f"{said}; the 95% interval over seeds excludes 0 in {apart}, and that of the mean AUC {does} it."


def view_rows(views: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the cells of one line a view: how attacks are weighed, over which range, and the difference."""
    return [
        {
            "attacks": view["attacks"],
            "range": view["range"],
            "seeds": str(view["seeds"]),
            "difference": share(view["difference"], signed=True),
            "95% CI over seeds": ABSENT if np.isnan(view["low"]) else interval(view["low"], view["high"]),
        }
        for view in views
    ]


def interval(low: float, high: float) -> str:
    """Return the interval of a difference.

    >>> interval(0.0144, 0.041)
    '[+.014, +.041]'
    """
    return ABSENT if np.isnan(low) else f"[{share(low, signed=True)}, {share(high, signed=True)}]"


def _about_score(comparison: Comparison, line: dict[str, Any], first: str, second: str) -> str:
    opening = OPENINGS[comparison.verdict].format(first=first, second=second)
    facts = [f"difference in mean AUC {share(line['difference'], signed=True)}"]
    facts += [] if np.isnan(line["low"]) else [f"95% CI {interval(line['low'], line['high'])}"]
    if comparison.verdict == TOO_FEW:
        facts += [f"n = {needed(comparison.seeds)}"]
        return f"{opening}: {', '.join(facts)}."
    facts += [
        f"n = {comparison.seeds} seeds",
        f"p = {short(comparison.p_adjusted)} adjusted for all pairs of the board",
    ]
    beside = f"exact sign-flip p {short(line['p_value'])}, of this pair alone"
    return (
        f"{opening}: {', '.join(facts)} ({beside}; minimum detectable effect at 80% power {share(line['detectable'])})."
    )
