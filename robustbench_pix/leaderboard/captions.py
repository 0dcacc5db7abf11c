"""The captions of tables: missing rows, how a setting was measured, the meaning of marks, and names for papers."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from robustbench_pix.results.columns import WORST_CASE
from robustbench_pix.results.derived_columns import AUC_PREFIX, DISTANCE_PREFIX
from robustbench_pix.results.gradient_masking import FAILED, MASKED, doubt
from robustbench_pix.results.statistics.verdicts import BETTER, NOT_SIGNIFICANT, WORSE, needed
from robustbench_pix.runs.request import EXTERNAL_SEED

PROTOCOLS = {
    "strict": "strict protocol: clamped to [0, 1], true labels",
    "paper": "paper protocol: as Attias et al. 2024 measured",
}

NEXT_REMARK = re.compile(r"; (?=[^\s:;]+: |not tuned here)")
"""The separator of two remarks of a note; a remark starts with the name of an attack, "missing", "gradients",
"training" or "not tuned here"."""

SAID = {
    BETTER: "better than unregularized",
    WORSE: "worse than unregularized",
    NOT_SIGNIFICANT: "no significant difference from unregularized",
}
"""A verdict against unregularized in words."""

TASKS = {"mnist": "MNIST", "fashionmnist": "Fashion-MNIST", "cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}
NETWORKS = {"resnet18": "ResNet18", "resnet34": "ResNet34", "small": "small network", "plain": "plain network"}
ATTACKS = {
    "gaussian": "Gaussian noise",
    "transfer-fgsm": "transferred FGSM",
    "boundary": "boundary attack",
    "boundary-50-steps": "boundary attack, 50 steps",
    "salt-and-pepper": "salt-and-pepper noise",
    "uniform": "uniform noise",
}
STRENGTHS = {
    "sigma": r"standard deviation $\sigma$",
    "l1": r"size $\epsilon$ ($\ell_1$)",
    "l2": r"size $\epsilon$ ($\ell_2$)",
    "linf": r"size $\epsilon$ ($\ell_\infty$)",
}
"""Names of units of perturbation sizes, as LaTeX; other units keep their names."""

HALF = "±: half of the 95% interval"

LEGEND = (
    "#: ranks that are possible with 95% confidence, for all rows at once",
    "a, b: recipes that share a letter do not differ significantly",
    "* of a mean AUC: no recipe is better; elsewhere: the highest, without a verdict",
    HALF,
    "mean AUC: mean over threat groups of the AUC, in an adversarial group that of the strongest attack",
    "gain: over unregularized, paired by seed; green: better, red: worse, by the verdict",
    "under an attack: its AUC, the mean accuracy over its range of strengths; below it the accuracy from no attack on",
    "▁ to █: accuracy 0 to 1",
)


def measuring_facts(rows: pd.DataFrame, measured: pd.DataFrame) -> list[str]:
    """Return how the rows of a setting were measured: images, seeds, network, protocol, versions, intervals."""
    first = rows.iloc[0]
    facts = [] if measured.empty else [_test_images(measured)]
    facts += seeds(rows)
    facts += [f"network {first['network']}, {first['colour']}, {first['precision']}"]
    facts += [] if first["size"] == "full" else [f"size: {first['size']}"]
    facts += [f"suite {first['suite']} {first['suite_version']}"]
    facts += [protocol(first["protocol"])]
    if not measured.empty:
        versions = f"robustbench_pix {_all(measured['version'])}, torch {_all(measured['torch'])}"
        facts += [f"{versions}, {_all(measured['device'])}"]
    facts += [gradients] if (gradients := _gradients(rows)) else []
    return [*facts, *([f"95% intervals: {_intervals(rows)}"] if rows["interval"].any() else [])]


def verdicts(rows: pd.DataFrame) -> list[str]:
    """Return the verdicts against unregularized, a sentence each, and how many seeds are lacking.

    >>> shown = {"recipe": ["a", "b", "unregularized"], "verdict": ["better", "not significant", ""]}
    >>> verdicts(pd.DataFrame({**shown, "rank": [1, 1, 2], "seeds": 7, "seed_list": "0", "mean_auc": 0.5}))
    ['better than unregularized: a', 'no significant difference from unregularized: b']
    """
    named = rows.groupby("verdict", sort=False)["recipe"].agg(", ".join)
    said = [f"{text}: {named[verdict]}" for verdict, text in SAID.items() if verdict in named]
    trained = rows[rows["mean_auc"].notna() & (rows["seed_list"] != str(EXTERNAL_SEED))]
    few = trained[trained["rank"].isna()]
    if len(trained) < 2 or few.empty:
        return said
    lacking = needed(int(few["seeds"].max()))
    return [*said, lacking if len(few) == len(trained) else f"{', '.join(few['recipe'])}: {lacking}"]


def protocol(name: str) -> str:
    """Return the description of a protocol, or its name."""
    return PROTOCOLS.get(name, f"{name} protocol")


def seeds(rows: pd.DataFrame) -> list[str]:
    """Return the seeds of rows of the leaderboard; nothing for external models.

    >>> seeds(pd.DataFrame({"seed_list": ["10,2", "2,3", "", str(EXTERNAL_SEED)]}))
    ['seeds 2, 3, 10']
    """
    named = sorted({int(seed) for text in rows["seed_list"] for seed in text.split(",") if seed} - {EXTERNAL_SEED})
    return [f"seed{'s' * (len(named) > 1)} {', '.join(map(str, named))}"] if named else []


def _gradients(rows: pd.DataFrame) -> str:
    """Return the outcome of the gradient checks."""
    checked = rows.loc[rows["gradients"] != "", "gradients"]
    words = checked.map(doubt)
    told = [f"{word} in {count} rows" for word in (MASKED, FAILED) if (count := int((words == word).sum()))]
    return "" if checked.empty else f"gradients checked: {', '.join(told) or 'none masked'}"


def mixtures(measured: pd.DataFrame) -> list[str]:
    """Return a warning for each of version, torch and device that is not the same in the whole setting."""
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
    columns = [name for name in (AUC_PREFIX + attack, DISTANCE_PREFIX + attack) if name in told.columns]
    able = told[told[columns].notna().any(axis="columns")] if columns else told
    return "all recipes" if 1 < len(recipes) == len(able) else ", ".join(recipes)


def controls(rows: pd.DataFrame) -> list[str]:
    """Return one sentence for each recipe that has controls.

    >>> controls(pd.DataFrame({"recipe": ["a", "b", "c"], "controls": ["", "a", "a"]}))
    ['controls of a: b, c']
    """
    chosen = rows[rows["controls"] != ""]
    return [f"controls of {of}: {', '.join(group['recipe'])}" for of, group in chosen.groupby("controls", sort=False)]


def never_halved(aucs: pd.DataFrame, ends: dict[str, str]) -> list[str]:
    """Return one sentence on the attacks under which no seed of any recipe loses half of its clean accuracy."""
    aucs = aucs[aucs["attack"] != WORST_CASE]
    halved = aucs.groupby("attack", sort=False)["eps50_seeds"].sum()
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


def attack_name(attack: str) -> str:
    """Return the name of an attack in the literature.

    >>> attack_name("transfer-fgsm"), attack_name("pgd-l2")
    ('transferred FGSM', 'pgd l2')
    """
    return ATTACKS.get(attack, attack.replace("-", " "))


def strength_name(attack: str, kind: str) -> str:
    """Return the label of the axis of perturbation sizes; the kind is ``strength_kind`` of measurements.csv."""
    return f"{attack_name(attack)}, {STRENGTHS.get(kind, kind)}"


def setting_name(setting: pd.Series) -> tuple[str, str]:
    """Return which combination a panel shows, and with which network, size and precision."""
    task, images = (TASKS.get(setting[name], setting[name]) for name in ("task", "regularization_data"))
    network = NETWORKS.get(setting["network"], setting["network"])
    told = [network, "colour" if setting["colour"] == "rgb" else "gray"]
    told += [f"size {setting['size']}"] if setting["size"] != "full" else []
    told += [setting["precision"]] if setting["precision"] != "float32" else []
    return task if task == images else f"{task}, {images} images", ", ".join(told)


def setting_title(setting: "Mapping[str, Any] | pd.Series[Any]") -> str:
    """Return which setting it is in one line: combination, suite, network, colour, precision and size."""
    size = "" if setting["size"] == "full" else f", size {setting['size']}"
    network = f"network {setting['network']}, {setting['colour']}, {setting['precision']}"
    suite = f"suite {setting['suite']} {setting['suite_version']}"
    return f"{setting['task']} : {setting['regularization_data']}  {suite}, {network}{size}"
