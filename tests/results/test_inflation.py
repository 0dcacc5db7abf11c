"""Distance inflation, by hand, against the exact distances of a linear model, and what is told of it."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from torch import nn

from robustbench_pix.evaluation.nearest import smallest_distances
from robustbench_pix.results.inflation import (
    INFLATION_ALLOWED,
    attack_inflation,
    comparison_sentences,
    distance_inflation,
    inflation_pairs,
    inflation_sentences,
)
from robustbench_pix.results.statistics.aucs import build_aucs
from robustbench_pix.results.statistics.measured import settings
from tests.attacks.toys import Halfspace, decisions_of, entry, gray_images, run_entry
from tests.tables import measurements, rows

INFINITE = float("inf")


def outcome(index, l2, clean=3, label=3):
    return {"index": index, "l2": l2, "label": label, "clean_prediction": clean}


def known(*triples):
    return pd.DataFrame(triples, columns=["index", "l2", "farthest"])


def test_by_hand():
    examples = pd.DataFrame(
        [
            outcome(0, 0.3),  # twice as far as is known
            outcome(1, 0.4),  # nearer than was known: 1
            outcome(2, INFINITE),  # nothing found: as if at 8, twenty times too far
            outcome(3, INFINITE),  # nothing known at all: does not count
            outcome(4, 0.7),  # the search found nothing: 1
            outcome(5, 0.0, clean=2),  # wrong without attack: does not count
            outcome(6, 9.0),  # not searched: does not count
        ]
    )
    nearest = known((0, 0.15, 8), (1, 0.5, 8), (2, 0.4, 8), (3, INFINITE, 8), (4, INFINITE, 8), (5, 0.1, 8))
    assert distance_inflation(examples, nearest) == pytest.approx((2 + 1 + 20 + 1) / 4)
    assert math.isnan(distance_inflation(examples.iloc[5:], nearest))


def test_every_repetition_counts():
    examples = pd.DataFrame([outcome(0, 0.3), outcome(0, 0.15)])
    assert distance_inflation(examples, known((0, 0.1, 8))) == pytest.approx((3 + 1.5) / 2)


@pytest.mark.parametrize(("attack", "steps", "converges"), [("boundary", 30, False), ("hop-skip-jump", 20, True)])
def test_on_a_linear_model_it_is_what_the_exact_distances_say(attack, steps, converges):
    network, images = Halfspace(distance=0.3), gray_images(30)
    labels = decisions_of(network, images)
    spec = entry(attack, steps=steps)
    examples = run_entry(spec, network, images, labels, classes=2)
    nearest = smallest_distances(network, images, labels, task="toy", classes=2, device="cpu")
    searched = examples.set_index("index").loc[nearest["index"]]
    expected = (searched["l2"] / network.distances(images).numpy()[searched.index]).mean()
    found = distance_inflation(examples, nearest)
    assert found == pytest.approx(expected, rel=0.01)
    assert (found <= INFLATION_ALLOWED) == converges


class Signs(nn.Module):
    """A halfspace that shows the sign of its margin, so that its gradient is 0."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        return self.network(images).sign() + 0 * images.sum()


def test_where_gradients_are_masked_what_the_attack_found_is_the_smallest_known():
    network, images = Halfspace(distance=0.3), gray_images(20)
    labels = decisions_of(network, images)
    nearest = smallest_distances(Signs(network), images, labels, task="toy", classes=2, device="cpu")
    examples = run_entry(entry("boundary", steps=200), Signs(network), images, labels, classes=2)
    assert np.isfinite(examples["l2"]).all()
    assert distance_inflation(examples, nearest) == 1.0


@pytest.mark.parametrize(("access", "strength"), [("scores", "l2"), ("decisions", "linf"), ("gradients", "l2")])
def test_of_decision_attacks_in_l2_alone(access, strength):
    examples = pd.DataFrame([outcome(0, 0.3)]).assign(distance_at_half=0.5)
    nearest, attack = known((0, 0.15, 8)), {"access": "decisions", "strength": "l2"}
    assert attack_inflation(examples, attack, nearest) == pytest.approx(2)
    assert math.isnan(attack_inflation(examples, attack, None))
    assert math.isnan(attack_inflation(examples.drop(columns="distance_at_half"), attack, nearest))
    assert math.isnan(attack_inflation(examples, {"access": access, "strength": strength}, nearest))


FOUND = {"unregularized": [1.10, 1.12, 1.16], "pixel": [1.02, 1.01, 1.03]}


def table(found=FOUND):
    """Return measurements of a block in which the boundary attack ended so far above the smallest distances."""
    measured = measurements(recipes=tuple(found))
    values = pd.Series({(recipe, seed): value for recipe, own in found.items() for seed, value in enumerate(own)})
    keys = pd.MultiIndex.from_frame(measured[["recipe", "seed"]])
    boundary = measured["attack"] == "boundary"
    return measured.assign(distance_inflation=np.where(boundary, values.reindex(keys).to_numpy(), np.nan))


def test_a_pair_has_both_means_and_the_paired_interval_of_scipy():
    (pair,) = inflation_pairs(table(), "unregularized", "pixel")
    assert (pair.attack, pair.far) == ("boundary", ())
    assert (pair.first, pair.second) == (pytest.approx(np.mean(FOUND["unregularized"])), pytest.approx(1.02))
    test = stats.ttest_rel(*FOUND.values()).confidence_interval()
    assert (pair.low, pair.high) == (pytest.approx(test.low), pytest.approx(test.high))
    assert pair.differs


def test_a_comparison_warns_where_the_attack_came_nearer_to_one_of_them():
    (said,) = comparison_sentences(table(), "pixel", "unregularized")
    assert said.startswith(
        "boundary ended at 1.02 times the smallest known distance on pixel and at 1.13 times on unregularized; "
        "the 95% interval of the difference, -0.1"
    )
    assert said.endswith("excludes 0: part of a difference under it may be its weakness.")


def test_a_comparison_warns_where_the_attack_ended_far_from_the_smallest_distances():
    (said,) = comparison_sentences(table({"unregularized": [1.1, 1.3], "pixel": [1.3, 1.1]}), "pixel", "unregularized")
    assert said.endswith(
        "; it ended above 1.2 times on a model of pixel and unregularized: part of a difference under it may be its "
        "weakness."
    )


def test_a_comparison_does_not_warn_where_there_is_nothing():
    (said,) = comparison_sentences(
        table({"unregularized": [1.1, 1.05], "pixel": [1.06, 1.1]}), "pixel", "unregularized"
    )
    assert said == (
        "boundary ended at 1.08 times the smallest known distance on pixel and at 1.08 times on unregularized."
    )
    assert comparison_sentences(measurements(), "pixel", "unregularized") == []


def test_a_block_has_one_sentence():
    assert inflation_sentences(table()) == [
        "boundary ended at 1.07 times the smallest known distance on average, from 1.02 (pixel) to 1.13 "
        "(unregularized) (up to 16 images of each model)"
    ]
    assert inflation_sentences(measurements()) == []


def test_robustness_has_its_mean_over_seeds():
    built = build_aucs(settings(table(), rows(recipes=tuple(FOUND)))).set_index(["recipe", "attack"])
    assert built.loc[("pixel", "boundary"), "distance_inflation"] == pytest.approx(1.02)
    assert built["distance_inflation"].notna().sum() == 2
