"""The tables of docs/reproduction.md, from leaderboard/ and the published curves: python docs/reproduction_table.py.

A published curve is that of a recipe under an attack on a task (Attias, Pehlevan, Obeid 2024, read off their figures
to about .003). Beside it stand our models of the same task, images and attack, at strengths above 0 that both measured.
The gain is the mean over these strengths of a recipe's accuracy less that of ``unregularized``; ours has a 95% interval
of Student's t over seeds, paired, since recipes share seeds.
"""

from pathlib import Path

import pandas as pd
from scipy.stats import t as student

from robustbench_pix.results.published_curves import SAME_STRENGTH, read_curves
from robustbench_pix.results.statistics.measured import BASELINE

MEASUREMENTS = Path(__file__).parent.parent / "leaderboard" / "measurements.csv"
CURVE = ["task", "regularization_data", "network", "attack", "recipe"]
LEVEL = 0.95


def table(measurements: pd.DataFrame) -> list[str]:
    """Return one row a published curve in Markdown, with what our measurements say of it."""
    curves = read_curves()
    lines = [
        "| combination | attack | recipe | size | seeds | accuracy, theirs | ours | gain, theirs | ours | reproduces |",
        "|---|---|---|---|--:|--:|--:|--:|--:|---|",
    ]
    for key, published in curves[curves["strength"] > 0].groupby(CURVE, sort=False):
        where = f"| {key[0]}:{key[1]} | {key[3]} | {key[4]} |"
        theirs = published.set_index("strength")["accuracy"]
        baseline = _baseline(curves, key)
        ours = _per_seed(measurements, key)
        for size, found in ours.groupby("size", sort=False) if len(ours) else [("not measured", ours)]:
            common = [strength for strength in theirs.index if _matching(found, strength)]
            if not common:
                lines.append(f"{where} not measured | | {theirs.mean():.3f} | | {_gain(theirs, baseline)} | | |")
                continue
            per_seed = _over(found, common)
            cells = [str(size), str(len(per_seed)), f"{theirs[common].mean():.3f}", f"{per_seed.mean():.3f}"]
            paired = _per_seed(measurements, (*key[:4], BASELINE))
            gains = (per_seed - _over(paired[paired["size"] == size], common)).dropna()
            said = ["", "", ""]
            if key[4] != BASELINE and baseline is not None and len(gains) > 1:
                said = _said(float((theirs[common] - baseline[common]).mean()), gains)
            lines.append(f"{where} {' | '.join([*cells, *said])} |")
    return lines


def _said(published: float, gains: pd.Series) -> list[str]:
    """Return the two gains and whether ours has the sign of theirs, with an interval that leaves 0 out."""
    mean = gains.mean()
    half = student.ppf((1 + LEVEL) / 2, len(gains) - 1) * gains.sem()
    word = "not significant" if abs(mean) <= half else "yes" if mean * published > 0 else "no, the opposite"
    return [f"{published:+.3f}", f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]", word]


def _per_seed(measurements: pd.DataFrame, key: tuple[str, ...]) -> pd.DataFrame:
    """Return our accuracies of a curve: ``size``, ``seed``, ``strength`` and ``accuracy``."""
    names = [name for name in CURVE if key[4] != BASELINE or name != "regularization_data"]
    found = measurements[(measurements["colour"] == "gray") & (measurements["protocol"] == "strict")]
    for name, value in zip(CURVE, key, strict=True):
        if name in names:
            found = found[found[name] == value]
    return found.drop_duplicates(["size", "seed", "strength"])[["size", "seed", "strength", "accuracy"]]


def _matching(found: pd.DataFrame, strength: float) -> bool:
    return bool(((found["strength"] - strength).abs() <= SAME_STRENGTH).any())


def _over(found: pd.DataFrame, strengths: list[float]) -> pd.Series:
    """Return the mean accuracy over strengths of each seed."""
    near = found["strength"].map(lambda value: any(abs(value - strength) <= SAME_STRENGTH for strength in strengths))
    return found[near].groupby("seed")["accuracy"].mean()


def _baseline(curves: pd.DataFrame, key: tuple[str, ...]) -> pd.Series | None:
    of = curves[(curves["task"] == key[0]) & (curves["attack"] == key[3]) & (curves["recipe"] == BASELINE)]
    return None if of.empty else of.drop_duplicates("strength").set_index("strength")["accuracy"]


def _gain(theirs: pd.Series, baseline: pd.Series | None) -> str:
    if baseline is None or theirs.equals(baseline):
        return ""
    gain = (theirs - baseline).dropna().mean()
    return f"{gain:+.3f}" if gain else ""


if __name__ == "__main__":
    print("\n".join(table(pd.read_csv(MEASUREMENTS))))
