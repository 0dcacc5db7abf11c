"""The words below a table: why a row has a gap, how the block was measured, what the marks mean."""

import re
from collections.abc import Iterable

import pandas as pd

from robustbench_pix.results.columns import DISTANCE_PREFIX, ROBUSTNESS_PREFIX, WORST_CASE
from robustbench_pix.runs.request import GIVEN_SEED

PROTOCOLS = {
    "strict": "strict protocol: clamped to [0, 1], true labels",
    "paper": "paper protocol: as Attias et al. 2024 measured",
}

NEXT_REMARK = re.compile(r"; (?=[^\s:;]+: )")
"""What stands between two remarks of a note; a remark starts with the name of an attack, or with "missing"."""

LEGEND = (
    "#: ranks that are possible with 95% confidence",
    "a, b: recipes that share a letter are not told apart",
    "* best of its column",
    "± half of the 95% interval",
    "score: mean robustness over the attacks",
    "gain: over unregularized, paired by seed",
    "robustness: mean accuracy from no attack to the strongest, drawn below it",
    "▁ to █: accuracy 0 to 1",
)

BESIDE_SCORE = (
    "excess: score beyond what the clean accuracy predicts, paired by seed",
    "worst case: robustness to all attacks at once, image by image",
    "half at: strength at which the accuracy is half of the clean one",
    "> stays above half up to there",
    "2 of 3: only so many seeds reach it",
    "seconds: of one model",
)
"""What the marks of the second table mean."""


def measuring_facts(rows: pd.DataFrame, measured: pd.DataFrame) -> list[str]:
    """Return how the rows of a block were measured: images, seeds, network, protocol, versions, intervals."""
    first = rows.iloc[0]
    facts = [] if measured.empty else [_test_images(measured)]
    facts += seeds(rows)
    facts += [f"network {first['network']}, {first['colour']}, {first['precision']}"]
    facts += [] if first["size"] == "full" else [f"reduced size: {first['size']}"]
    facts += [f"suite {first['suite']} {first['suite_version']}"]
    facts += [protocol(first["protocol"])]
    if not measured.empty:
        versions = f"robustbench_pix {_all(measured['version'])}, torch {_all(measured['torch'])}"
        facts += [f"{versions}, {_all(measured['device'])}"]
    facts += [gradients] if (gradients := _gradients(rows)) else []
    return [*facts, *([f"95% intervals: {_intervals(rows)}"] if rows["interval"].any() else [])]


def protocol(name: str) -> str:
    """Return what a protocol is, or that it is one of this name."""
    return PROTOCOLS.get(name, f"{name} protocol")


def seeds(rows: pd.DataFrame) -> list[str]:
    """Return which seeds stand behind rows of the leaderboard; nothing where none does, as of given models.

    >>> seeds(pd.DataFrame({"seed_list": ["10,2", "2,3", "", str(GIVEN_SEED)]}))
    ['seeds 2, 3, 10']
    """
    named = sorted({int(seed) for text in rows["seed_list"] for seed in text.split(",") if seed} - {GIVEN_SEED})
    return [f"seed{'s' * (len(named) > 1)} {', '.join(map(str, named))}"] if named else []


def _gradients(rows: pd.DataFrame) -> str:
    """Return what the checks of gradients found, of the rows that were checked."""
    checked = rows.loc[rows["gradients"] != "", "gradients"]
    masked = (checked != "sound").sum()
    return "" if checked.empty else f"gradients checked: {f'masked in {masked} rows' if masked else 'none masked'}"


def mixtures(measured: pd.DataFrame) -> list[str]:
    """Return a warning for each of version, torch and device that is not the same in the whole block."""
    labels = {"version": "robustbench_pix", "torch": "torch", "device": "devices"}
    mixed = [f"{label} {_all(measured[name])}" for name, label in labels.items() if measured[name].nunique() > 1]
    return [f"Rows mix {found}: part of a difference may be due to that." for found in mixed]


def stopped(rows: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Return recipe, status and reason of every row without numbers."""
    chosen = rows[rows["status"].isin(["not run", "failed"])]
    return list(chosen[["recipe", "status", "note"]].itertuples(index=False, name=None))


def remarks(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return (recipes, remark) for everything noted on rows with numbers, equal remarks once."""
    told = rows[~rows["status"].isin(["not run", "failed"])]
    said: dict[str, list[str]] = {}
    for recipe, note in zip(told["recipe"], told["note"], strict=True):
        for remark in filter(None, NEXT_REMARK.split(note)):
            said.setdefault(remark, []).append(recipe)
    return [(_speakers(by, remark, told), remark) for remark, by in said.items()]


def _speakers(recipes: list[str], remark: str, told: pd.DataFrame) -> str:
    """Return names of recipes, or "all recipes" if no other was measured under the attack that the remark names."""
    attack = remark.split(":")[0]
    columns = [name for name in (ROBUSTNESS_PREFIX + attack, DISTANCE_PREFIX + attack) if name in told.columns]
    able = told[told[columns].notna().any(axis="columns")] if columns else told
    return "all recipes" if 1 < len(recipes) == len(able) else ", ".join(recipes)


def controls(rows: pd.DataFrame) -> list[str]:
    """Return one sentence for each recipe that has controls.

    >>> controls(pd.DataFrame({"recipe": ["a", "b", "c"], "controls": ["", "a", "a"]}))
    ['controls of a: b, c']
    """
    chosen = rows[rows["controls"] != ""]
    return [f"controls of {of}: {', '.join(group['recipe'])}" for of, group in chosen.groupby("controls", sort=False)]


def never_halved(robustness: pd.DataFrame, ends: dict[str, str]) -> list[str]:
    """Return one sentence on the attacks under which no seed of any recipe loses half of its clean accuracy."""
    robustness = robustness[robustness["attack"] != WORST_CASE]
    halved = robustness.groupby("attack", sort=False)["halved_seeds"].sum()
    never = [f"{attack} ({ends[attack]})" for attack in halved.index[halved == 0]]
    return [f"accuracy nowhere halves under {', '.join(never)}"] if never else []


def flowing(facts: Iterable[str], width: int) -> str:
    """Join facts with dots, and break lines between facts only.

    >>> print(flowing(["seeds 0, 1", "gray", "float32"], 18))
    seeds 0, 1 · gray
    float32
    """
    lines: list[str] = []
    for fact in facts:
        if lines and len(lines[-1]) + len(fact) + 3 <= width:
            lines[-1] += f" · {fact}"
        else:
            lines.append(fact)
    return "\n".join(lines)


def _test_images(measured: pd.DataFrame) -> str:
    """Return how many images were judged, with the attacks that judged fewer."""
    measured = measured[measured["attack"] != WORST_CASE]
    images = measured["n"] // measured["repetitions"]
    counts = images.groupby(measured["attack"], sort=False).max()
    fewer = [f"{attack} {count:,}" for attack, count in counts.items() if count < counts.max()]
    return f"{counts.max():,} test images" + (f" ({', '.join(fewer)})" if fewer else "")


def _intervals(rows: pd.DataFrame) -> str:
    """Return how intervals were made: what most rows say, then the rows that say otherwise."""
    said = rows[rows["interval"] != ""].groupby("interval", sort=False)["recipe"].agg(", ".join)
    usual = rows.loc[rows["interval"] != "", "interval"].mode()[0]
    others = [f"{recipes}: {text}" for text, recipes in said.items() if text != usual]
    return usual + (f" ({'; '.join(others)})" if others else "")


def _all(values: "pd.Series[str]") -> str:
    return " and ".join(sorted(values.unique()))
