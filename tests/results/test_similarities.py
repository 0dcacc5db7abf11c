import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr

from robustbench_pix.results.representations import (
    CORRELATIONS,
    Similarities,
    by_clusters,
    correlation,
    correlations,
    trained_models,
)
from robustbench_pix.runs.request import EXTERNAL_SEED
from tests.tables import block, measurements


def matrix(key, images=20):
    values = np.random.default_rng(key).uniform(-1, 1, (images, images))
    return np.where(np.eye(images), 1.0, (values + values.T) / 2)


def test_the_correlation_is_pearsons_over_the_pairs_without_the_diagonal():
    first, second = matrix(1), 0.4 * matrix(1) + 0.6 * matrix(2)
    lower = np.tril_indices(20, k=-1)
    assert correlation(first, second) == pytest.approx(pearsonr(first[lower], second[lower]).statistic, abs=1e-11)
    assert correlation(first, -3 * first + 1) == -1


def test_a_constant_similarity_has_no_correlation():
    assert np.isnan(correlation(np.ones((5, 5)), matrix(1, 5)))


def test_every_network_and_every_target_has_a_row():
    pixel, first, second, target = (matrix(key) for key in range(4))
    networks = {"pixel": {0: first, 3: second}, "neural": {0: first}}
    found = Similarities(pd.Series(block()), pixel, networks, {"neural": target}, [])
    table = correlations([found, found._replace(setting=pd.Series(block("mnist", "natural")), targets={})])
    assert list(table["recipe"]) == ["pixel", "pixel", "neural", "neural", "pixel", "pixel", "neural"]
    assert list(table["seed"].fillna(-1)) == [0, 3, 0, -1, 0, 3, 0]
    assert list(table["similarity"][:4]) == ["S^CNN", "S^CNN", "S^CNN", "S^target"]
    assert list(table["task"] + table["regularization_data"]) == ["digitsdigits"] * 4 + ["mnistnatural"] * 3
    assert set(table["images_compared"]) == {20}
    expected = [correlation(one, pixel) for one in (first, second, first, target, first, second, first)]
    assert list(table["correlation"]) == expected
    assert {column.name for column in CORRELATIONS} <= set(table.columns)


def test_clusters_stand_together_however_the_images_came():
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], 10))
    similarity = np.where(labels[:, None] == labels, 0.8, -0.3) + 0.1 * matrix(5, 30)
    ordered = by_clusters(similarity)
    assert sorted(ordered) == list(range(30))
    assert np.count_nonzero(np.diff(labels[ordered])) == 2
    assert np.array_equal(ordered, by_clusters(similarity.copy()))


def test_neighbours_in_the_order_are_as_similar_as_they_can_be():
    places = np.random.default_rng(1).permutation(12)
    similarity = 1 - np.abs(places[:, None] - places) / 6.0
    steps = np.diff(places[by_clusters(similarity)])
    assert set(np.abs(steps)) == {1}


def test_the_models_of_a_combination_are_those_of_all_its_suites_once():
    measured = [
        measurements(block(suite=suite), attacks=("gaussian", "uniform"), recipes=("unregularized", "pixel"), key=1)
        for suite in ("blackbox", "noise")
    ]
    other = measurements(block("mnist", "natural"), attacks=("gaussian",), recipes=("pixel",), seeds=(4,))
    table = pd.concat([*measured, other], ignore_index=True)
    table["model_id"] = table["recipe"] + table["seed"].astype(str)
    (digits, models), (mnist, alone) = trained_models(table)
    assert (digits["task"], mnist["regularization_data"]) == ("digits", "natural")
    assert "suite" not in digits
    assert sorted(models["model_id"]) == [
        f"{recipe}{seed}" for recipe in ("pixel", "unregularized") for seed in range(3)
    ]
    assert list(alone["model_id"]) == ["pixel4"]


def test_of_two_versions_of_a_recipe_the_last_counts_and_given_models_do_not():
    old = measurements(block(suite="noise"), attacks=("gaussian",), recipes=("pixel",), seeds=(0, 1, 2))
    new = measurements(block(), attacks=("gaussian",), recipes=("pixel",), seeds=(1, 0), recipe_hash="new")
    external = measurements(block(), attacks=("gaussian",), recipes=("pixel",), seeds=(EXTERNAL_SEED,))
    table = pd.concat([old.assign(model_id="old"), new, external.assign(recipe="ours")], ignore_index=True)
    table.loc[len(old) :, "model_id"] = "new" + table["seed"].astype(str)
    ((_, models),) = trained_models(table)
    assert list(models["model_id"]) == ["new0", "new1"]
