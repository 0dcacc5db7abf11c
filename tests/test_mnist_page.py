"""What docs/mnist.md and docs/reproduction.md say in words of MNIST is what is published."""

import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parent.parent
MIDDLE_SIGMA = 5 / 18
RECIPES = ("unregularized", "thresholded")


def published(table):
    rows = pd.read_csv(ROOT / "leaderboard" / table, low_memory=False)
    return rows[(rows["task"] == "mnist") & (rows["suite"] == "blackbox")]


def text_of(page):
    """Return a page as one line."""
    return " ".join((ROOT / "docs" / page).read_text().split())


def short(value, places=3, sign=""):
    return f"{value:{sign}.{places}f}".replace("0.", ".", 1)


@pytest.fixture
def gain():
    rows = published("comparisons.csv")
    (row,) = rows[(rows["recipe"] == "thresholded") & (rows["role"] == "baseline")].to_dict("records")
    return row


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_row_of_a_recipe(recipe, gain):
    cells = re.search(rf"^\| `{recipe}`.*\|$", (ROOT / "docs/mnist.md").read_text(), re.MULTILINE)[0].split("|")[2:-1]
    (row,) = published("leaderboard.csv").query("recipe == @recipe").to_dict("records")
    noise = published("measurements.csv").query("recipe == @recipe and attack == 'gaussian'")
    middle = noise.loc[(noise["strength"] - MIDDLE_SIGMA).abs() < 1e-6, "accuracy"]
    assert len(middle) == 7
    clean, accuracy, mean_auc, gained = (cell.strip() for cell in cells)
    assert (clean, mean_auc) == (short(row["clean_accuracy"]), short(row["mean_auc"]))
    assert re.findall(r"[.]\d+", accuracy) == [short(middle.mean()), short(middle.std())]
    interval = f"{short(gain['difference'], sign='+')} [{short(gain['low'])}, {short(gain['high'])}]"
    assert gained == (interval if recipe == "thresholded" else "")


def test_the_sentences_under_the_table(gain):
    page, aucs = text_of("mnist.md"), published("aucs.csv").set_index(["recipe", "attack"])["auc"]
    for attack in ("decision-ensemble", "transfer-fgsm", "uniform"):
        before, after = (short(aucs[recipe, attack]) for recipe in RECIPES)
        assert f"({before} to {after})" in page
    assert f"p = {short(gain['p_adjusted'])}," in page
    assert f"find a gain of {short(gain['detectable'], 2)} with a power of 80%" in page
    assert f"find a gain of {short(gain['detectable'], 2)} on MNIST with a power of 80%" in text_of("reproduction.md")
    interval = f"{short(gain['difference'], sign='+')} [{short(gain['low'])}, {short(gain['high'])}]"
    assert interval in text_of("reproduction.md")


def test_the_sentence_on_the_collapse():
    trainings = published("trainings.csv").query("recipe == 'thresholded'").set_index("seed")
    measured = published("measurements.csv").query("recipe == 'thresholded'")
    # The mean AUC of a model: noises together count as much as the transfer attack and the decision-based one.
    ends = measured.loc[measured.groupby(["attack", "seed"])["strength"].idxmax()].set_index(["attack", "seed"])
    aucs = (ends["area"] / (ends["strength"] - ends["range_from"].fillna(0))).unstack()
    noises = aucs.loc[["gaussian", "uniform", "salt-and-pepper"]].mean()
    mean_auc = (noises + aucs.loc["transfer-fgsm"] + aucs.loc["decision-ensemble"]) / 3
    last = trainings["collapsed_on"] == "layer 4"
    assert (last.sum(), (trainings["collapsed_on"] == "layer 3").sum()) == (5, 1)
    found = f"{short(mean_auc[last].mean())}, that of the other two {short(mean_auc[~last].mean(), 2)}"
    assert found in text_of("mnist.md")
