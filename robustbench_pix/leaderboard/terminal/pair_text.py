"""Two recipes beside each other in words: one sentence for the score, one for the attacks, and a line an attack."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from robustbench_pix.leaderboard.cells import ABSENT, share
from robustbench_pix.results.statistics.comparisons import ALPHA, NOT_TOLD_APART, short, untestable
from robustbench_pix.results.statistics.pair import ONE_SEED, SCORE, Pair

OPENINGS = {
    "better": "{first} is better than {second}",
    "worse": "{first} is worse than {second}",
    NOT_TOLD_APART: "{first} is not told apart from {second}",
    ONE_SEED: "One seed tells nothing of {first} and {second}",
}


def title(block: Mapping[str, Any]) -> str:
    """Return which block it is: combination, suite, and of size, network and colour what one cannot do without."""
    size = "" if block["size"] == "full" else f", reduced size {block['size']}"
    network = f"network {block['network']}, {block['colour']}, {block['precision']}"
    return f"{block['task']} : {block['images']}  suite {block['suite']} {block['suite_version']}, {network}{size}"


def sentences(pair: Pair, first: str, second: str) -> list[str]:
    """Return whether the first is better, by how much and how sure; then under which attacks it is and is not."""
    if not pair.lines:
        return [f"{first} and {second} share no seed, so nothing pairs them."]
    scores = [line for line in pair.lines if line["measure"] == SCORE]
    attacks = [line for line in pair.lines if line["measure"] != SCORE]
    said = [_about_score(scores[0], first, second)] if scores else ["No seed of both has every attack of the suite."]
    return [sentence for sentence in (*said, _about_attacks(attacks)) if sentence]


def attack_rows(pair: Pair, first: str, second: str) -> list[dict[str, str]]:
    """Return the cells of one line an attack: both robustnesses and their difference with half of its interval."""
    return [
        {
            "attack": line["measure"],
            first: share(line["first"]),
            second: share(line["second"]),
            "difference": share(line["difference"], signed=True),
            "95%": ABSENT if np.isnan(line["low"]) else f"±{share((line['high'] - line['low']) / 2)}",
            "verdict": "one seed" if line["verdict"] == ONE_SEED else line["verdict"],
        }
        for line in pair.lines
        if line["measure"] != SCORE
    ]


def _about_score(line: dict[str, Any], first: str, second: str) -> str:
    difference, seeds = line["difference"], line["seeds"]
    opening = OPENINGS[line["verdict"]].format(first=first, second=second)
    whose = f"the score of {first}" if line["verdict"] == ONE_SEED else "its score"
    by = f"{whose} is {share(abs(difference))} {'higher' if difference >= 0 else 'lower'}"
    if line["verdict"] == ONE_SEED:
        return f"{opening}: {by}."
    test = untestable(seeds) or f"p {short(line['p_value'])}, sign-flip test of {seeds} seeds"
    if not untestable(seeds) and (line["verdict"] == NOT_TOLD_APART) != (line["p_value"] > ALPHA):
        opening += " by the interval, though the exact test says otherwise"
    found = f"such seeds find a true difference of {share(line['detectable'])} in 80% of cases"
    return f"{opening}: {by} (95% interval {_interval(line)}; {test}; {found})."


def _about_attacks(lines: list[dict[str, Any]]) -> str:
    told = []
    for verdict in OPENINGS:
        attacks = [line["measure"] for line in lines if line["verdict"] == verdict]
        every = "any attack" if verdict == NOT_TOLD_APART else "every attack"
        if attacks and verdict != ONE_SEED:
            told.append(f"{verdict} under {every if len(attacks) == len(lines) > 1 else ', '.join(attacks)}")
    return f"Each attack by itself: {'; '.join(told)}." if told else ""


def _interval(line: dict[str, Any]) -> str:
    return f"{share(line['low'], signed=True)} to {share(line['high'], signed=True)}"
