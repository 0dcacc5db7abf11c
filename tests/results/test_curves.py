import numpy as np
import pandas as pd
import pytest
from scipy import stats

from robustbench_pix.results.published_curves import (
    compared,
    published_distances,
    published_for,
    read_curves,
    sources_of,
)
from robustbench_pix.results.statistics.aucs import distances, strength_curves
from tests.tables import DISTANCE_ONLY, block, measurements

MNIST = block("mnist", "mnist", network="resnet18")


def test_mean_and_standard_error_are_those_of_scipy():
    measured = measurements(recipes=("unregularized", "pixel"), attacks=("gaussian", "uniform"), seeds=(0, 1, 2, 5))
    curves = strength_curves(measured.sample(frac=1, random_state=0))
    assert len(curves) == 2 * 2 * 10
    for row in curves.itertuples():
        same = measured[["recipe", "attack", "strength"]].eq([row.recipe, row.attack, row.strength]).all(axis="columns")
        values = measured.loc[same, "accuracy"]
        assert (row.seeds, row.accuracy) == (4, pytest.approx(values.mean()))
        assert row.standard_error == pytest.approx(stats.sem(values))


def test_one_seed_has_no_standard_error():
    curves = strength_curves(measurements(recipes=("pixel",), attacks=("gaussian",), seeds=(3,)))
    assert curves["standard_error"].isna().all()
    assert set(curves["seeds"]) == {1}


def test_blocks_are_not_averaged_together():
    both = pd.concat([measurements(block(), key=1), measurements(block(size="reduced"), key=2)], ignore_index=True)
    assert len(strength_curves(both)) == 2 * len(strength_curves(measurements(block())))


def test_distances_are_those_of_attacks_without_strengths():
    measured = measurements(recipes=("unregularized",), attacks=("gaussian", DISTANCE_ONLY), seeds=(0, 1, 2))
    values = measured.loc[measured["attack"] == DISTANCE_ONLY, "median_squared_l2_per_pixel"]
    (row,) = distances(measured).itertuples()
    assert (row.attack, row.distance) == (DISTANCE_ONLY, pytest.approx(values.mean()))
    assert row.standard_error == pytest.approx(stats.sem(values))
    assert DISTANCE_ONLY not in set(strength_curves(measured)["attack"])


def test_the_published_curves_hold_the_numbers_of_the_paper():
    curves = read_curves()
    assert len(curves) == 140
    assert curves["accuracy"].between(0, 1).all()
    assert set(curves.groupby(["task", "regularization_data", "attack", "recipe"]).size()) == {10}
    numbers = curves.set_index(["task", "regularization_data", "attack", "recipe", "strength"])["accuracy"]
    assert numbers["mnist", "mnist", "gaussian", "thresholded", 0.5] == 0.579
    assert numbers["cifar10", "natural", "gaussian", "unregularized", 0.1] == 0.145
    assert numbers["cifar10", "cifar10", "transfer-fgsm", "thresholded", 0.02] == 0.543
    assert numbers["cifar100", "natural", "gaussian", "pixel", 0.1] == 0.082


@pytest.mark.parametrize(
    ("changed", "attack"),
    [
        ({"network": "small"}, "gaussian"),
        ({"task": "digits"}, "gaussian"),
        ({"colour": "rgb"}, "gaussian"),
        ({}, "uniform"),
    ],
)
def test_nothing_is_laid_behind_what_does_not_agree(changed, attack):
    assert len(published_for(read_curves(), pd.Series(MNIST), "gaussian")) == 30
    assert published_for(read_curves(), pd.Series(MNIST | changed), attack).empty


def test_an_unregularized_curve_belongs_to_its_task_whatever_the_images():
    other = pd.Series(block("cifar10", "cifar10", network="resnet18"))
    behind = published_for(read_curves(), other, "transfer-fgsm")
    assert dict(behind.groupby("recipe")["source"].first().str[-2:]) == {
        "unregularized": "3a", "pixel": "3b", "thresholded": "3b"
    }  # fmt: skip
    assert sources_of(behind) == "Attias et al. 2024, Fig. 3a, 3b"


def test_published_distances_belong_to_one_network_task_and_attack():
    of = block("cifar10", "cifar10", network="resnet18")
    assert published_distances(pd.Series(of), DISTANCE_ONLY) == {"unregularized": 2.79e-3, "thresholded": 5.98e-3}
    assert published_distances(pd.Series(of), "boundary") == {}
    assert published_distances(pd.Series(of | {"regularization_data": "natural"}), DISTANCE_ONLY) == {}
    assert published_distances(pd.Series(of | {"colour": "rgb"}), DISTANCE_ONLY) == {}


def test_differences_are_taken_at_the_strengths_that_both_measured():
    ours = strength_curves(measurements(MNIST, recipes=("thresholded", "unregularized", "mine"), attacks=("gaussian",)))
    ours.loc[ours["strength"].rank(method="dense") == 3, "strength"] = 0.1234
    published = published_for(read_curves(), pd.Series(MNIST), "gaussian")
    rows = compared(ours, published)
    assert list(dict.fromkeys(rows["recipe"])) == ["unregularized", "thresholded"]
    assert len(rows) == 2 * 9
    line = rows[(rows["recipe"] == "thresholded") & np.isclose(rows["strength"], 5 / 18)].iloc[0]
    assert line["published"] == 0.882
    assert line["difference"] == pytest.approx(line["accuracy"] - 0.882)
