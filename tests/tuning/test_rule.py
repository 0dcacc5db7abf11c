"""The rule against a computation from the rows with numpy and pandas, ties included."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from robustbench_pix.tuning.rule import Accuracy, Outcome, choose, ranked, read_accuracy

STRENGTHS = (0.0, 0.1, 0.2, 0.4)
IMAGES = 12


def examples(generator, level):
    """Return one row an image and strength, as a validation job writes them."""
    strength = np.repeat(STRENGTHS, IMAGES)
    correct = generator.random(len(strength)) < level * (1 - strength)
    return pd.DataFrame({"strength": strength, "index": np.tile(np.arange(IMAGES), len(STRENGTHS)), "correct": correct})


def written(tables, folder):
    files = []
    for number, table in enumerate(tables):
        files.append(folder / f"{number}.parquet")
        table.to_parquet(files[-1])
    return files


def brute_force(points, baseline, keep):
    """Return the number of the chosen point from all rows at once; points are lists of a table a seed."""
    rows = pd.concat(
        table.assign(point=number, seed=seed)
        for number, tables in enumerate(points)
        for seed, table in enumerate(tables)
    )
    clean = rows[rows["strength"] == 0].groupby("point")["correct"].sum()
    noise = rows[rows["strength"] > 0].groupby("point")["correct"].sum()
    reference = sum(int(table.loc[table["strength"] == 0, "correct"].sum()) for table in baseline)
    found = pd.DataFrame({"clean": clean, "noise": noise}).reset_index()
    found = found[found["clean"] * 100 >= int(100 * keep) * reference]
    found = found.sort_values(["noise", "clean", "point"], ascending=[False, False, True])
    return None if found.empty else int(found["point"].iloc[0])


@pytest.mark.parametrize("keep", ["0.9", "0.99"])
def test_the_choice_is_that_of_a_brute_force_computation(tmp_path, keep):
    generator, chosen = np.random.default_rng(0), []
    for trial in range(20):
        folder = tmp_path / str(trial)
        folder.mkdir()
        levels = generator.uniform(0.5, 1, 8)
        points = [[examples(generator, level) for _ in range(2)] for level in levels]
        points[5] = points[2]  # A tie in everything.
        baseline = [examples(generator, 0.9) for _ in range(2)]
        outcomes = [
            Outcome({"place": place}, read_accuracy(written(tables, folder))) for place, tables in enumerate(points)
        ]
        found = choose(outcomes, read_accuracy(written(baseline, folder)), keep)
        expected = brute_force(points, baseline, float(keep))
        assert (found and found.point["place"]) == expected
        chosen.append(expected)
    assert len(set(chosen)) > 3


def test_exactly_the_share_is_kept_whatever_floats_say():
    outcome = Outcome({}, Accuracy(Fraction(9, 10) * Fraction(7, 9), Fraction(1, 2)))
    assert choose([outcome], Accuracy(Fraction(7, 9), Fraction(0)), "0.9") is outcome
    less = Outcome({}, Accuracy(Fraction(9, 10) * Fraction(7, 9) - Fraction(1, 10**9), Fraction(1, 2)))
    assert choose([less], Accuracy(Fraction(7, 9), Fraction(0)), "0.9") is None


def test_what_cannot_be_trained_comes_last_and_is_never_chosen():
    without, zero = Outcome({"a": 1}, None, "lacks a recording"), Outcome({"a": 2}, Accuracy(Fraction(0), Fraction(0)))
    assert ranked([without, zero]) == [zero, without]
    assert choose([without], Accuracy(Fraction(0), Fraction(0)), "0.9") is None


def test_the_noise_counts_without_the_clean_images(tmp_path):
    table = pd.DataFrame(
        {"strength": [0.0, 0.0, 0.1, 0.1, 0.2, 0.2], "correct": [True, True, True, False, False, False]}
    )
    assert read_accuracy(written([table], tmp_path)) == Accuracy(Fraction(1), Fraction(1, 4))
