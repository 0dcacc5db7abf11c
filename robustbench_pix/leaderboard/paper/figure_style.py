"""How figures look in a paper: sizes, fonts, colours that colour-blind readers tell apart, and the field's words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pandas as pd

from robustbench_pix.errors import UserError
from robustbench_pix.results.statistics.measured import BASELINE
from robustbench_pix.runs.request import EXTERNAL_SEED

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Those of Okabe and Ito 2008; black is the baseline's, and yellow is too pale for a line."""

MARKERS = ("s", "^", "D", "v", "P", "X", "*")
CLAIM, CONTROL, PUBLISHED = "-", "-.", "--"

SETTINGS = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine draws the same letters
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.4,
    "lines.linewidth": 1.0,
    "lines.markersize": 3,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "pdf.fonttype": 42,  # letters as TrueType: journals refuse the Type 3 that is the default
    "svg.hashsalt": "robustbench_pix",
    "savefig.dpi": 300,
}

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
"""What a kind of strength is called; the others are called by their own names."""


class Line(NamedTuple):
    """How a recipe is drawn."""

    color: str
    marker: str
    linestyle: str


@contextmanager
def settings() -> Iterator[None]:
    """Draw and save with our settings, whatever the user's own are.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ModuleNotFoundError as error:
        raise UserError("Figures need matplotlib: pip install 'robustbench-pix[figures]'.") from error
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


def lines(controls: dict[str, str]) -> dict[str, Line]:
    """Return how each recipe is drawn: the baseline black, then claims, then controls with dashes and dots, by name.

    Args:
        controls: For each recipe the one that it controls, or "".
    """
    others = sorted(
        (recipe for recipe in controls if recipe != BASELINE), key=lambda name: (bool(controls[name]), name)
    )
    return {BASELINE: Line("#000000", "o", CLAIM)} | {
        recipe: Line(
            COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)], CONTROL if controls[recipe] else CLAIM
        )
        for place, recipe in enumerate(others)
    }


def attack_name(attack: str) -> str:
    """Return what an attack is called in the field.

    >>> attack_name("transfer-fgsm"), attack_name("pgd-l2")
    ('transferred FGSM', 'pgd l2')
    """
    return ATTACKS.get(attack, attack.replace("-", " "))


def strength_name(attack: str, kind: str) -> str:
    """Return the label of the axis of strengths; the kind is that of measurements.csv."""
    return f"{attack_name(attack)}, {STRENGTHS.get(kind, kind)}"


def setting_name(setting: pd.Series) -> tuple[str, str]:
    """Return which combination a panel shows, and with which network, size and precision."""
    task, images = (TASKS.get(setting[name], setting[name]) for name in ("task", "regularization_data"))
    network = NETWORKS.get(setting["network"], setting["network"])
    told = [network, "colour" if setting["colour"] == "rgb" else "gray"]
    told += [f"size {setting['size']}"] if setting["size"] != "full" else []
    told += [setting["precision"]] if setting["precision"] != "float32" else []
    return task if task == images else f"{task}, {images} images", ", ".join(told)


def seeds_name(rows: pd.DataFrame) -> str:
    """Return how many seeds stand behind rows of ``recipe`` and ``seed``; external models have none.

    >>> seeds_name(pd.DataFrame({"recipe": ["a", "a", "b"], "seed": [0, 1, 0]}))
    '1 to 2 seeds'
    """
    counts = rows[rows["seed"] != EXTERNAL_SEED].groupby("recipe")["seed"].nunique()
    if counts.empty:
        return "no seed"
    least, most = int(counts.min()), int(counts.max())
    return f"{'' if least == most else f'{least} to '}{most} seed{'s' * (most > 1)}"
