"""The page that sets published curves beside ours: gains, intervals and words against another route."""

import re
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from robustbench_pix.results.published_curves import read_curves

ROOT = Path(__file__).parent.parent
SCRIPT = runpy.run_path(str(ROOT / "docs/reproduction_table.py"))
STRENGTHS = [0.0, 1 / 18, 2 / 18, 3 / 18]
OFFSETS = np.array([-0.01, 0.0, 0.02, 0.005])


def measured(recipe, offsets, images="mnist", size="reduced"):
    fixed = {"task": "mnist", "regularization_data": images, "network": "resnet18", "attack": "gaussian"}
    return [
        {**fixed, "recipe": recipe, "size": size, "colour": "gray", "protocol": "strict", "seed": seed,
         "strength": strength, "accuracy": 0.9 - strength + offset}
        for seed, offset in enumerate(offsets) for strength in STRENGTHS
    ]  # fmt: skip


def row_of(lines, *words):
    return next(line for line in lines if all(f"| {word} |" in line for word in words))


def test_a_gain_has_the_t_interval_over_seeds():
    gains = 0.05 + OFFSETS
    frame = pd.DataFrame(measured("unregularized", np.zeros(4)) + measured("thresholded", gains))
    line = row_of(SCRIPT["table"](frame), "mnist:mnist", "thresholded")
    curves = read_curves()
    curves = curves[(curves["task"] == "mnist") & curves["strength"].between(0.01, 0.17)]
    theirs = curves.groupby("recipe")["accuracy"].mean()
    low, high = stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    numbers = [float(number) for number in re.findall(r"[+-]?\d*\.\d+", line)]
    expected = [theirs["thresholded"], np.mean(0.9 - np.array(STRENGTHS[1:])) + gains.mean(),
                theirs["thresholded"] - theirs["unregularized"], gains.mean(), low, high]  # fmt: skip
    assert numbers == pytest.approx(expected, abs=0.0006)
    assert line.endswith("| yes |")


@pytest.mark.parametrize(("gain", "said"), [(-0.05, "no, the opposite"), (0.001, "not significant")])
def test_a_gain_is_said_in_words(gain, said):
    frame = pd.DataFrame(measured("unregularized", np.zeros(4)) + measured("thresholded", gain + OFFSETS))
    assert row_of(SCRIPT["table"](frame), "mnist:mnist", "thresholded").endswith(f"| {said} |")


def test_the_baseline_holds_whatever_its_images_and_others_do_not():
    frame = pd.DataFrame(
        measured("unregularized", np.zeros(4), images="natural") + measured("thresholded", OFFSETS, images="natural")
    )
    lines = SCRIPT["table"](frame)
    assert "| reduced | 4 |" in row_of(lines, "mnist:mnist", "unregularized")
    assert "not measured" in row_of(lines, "mnist:mnist", "thresholded")


def test_the_page_is_that_of_the_published_measurements():
    page = (ROOT / "docs/reproduction.md").read_text().partition("<!-- python docs/reproduction_table.py -->\n")[2]
    lines = SCRIPT["table"](pd.read_csv(SCRIPT["MEASUREMENTS"]))
    assert page.startswith("\n".join(lines) + "\n\n")
