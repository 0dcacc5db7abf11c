"""Pairs held out of training on a recording: which they are, and what is said of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from robustbench_pix.catalogue.regularizer_parameters import SimilarityParameters
from robustbench_pix.data.preparation import RegularizationData
from robustbench_pix.data.recording import Recording, Session
from robustbench_pix.errors import UserError
from robustbench_pix.regularizers.held_out import correlation_at, hold_out
from robustbench_pix.regularizers.pairs import condensed, pair_count
from robustbench_pix.regularizers.similarity_regularizer import SimilarityRegularizer
from robustbench_pix.regularizers.targets import build_target
from robustbench_pix.training.loop import train
from tests.training.models import DATA, SPEC, network, setting

GENERATOR = np.random.default_rng(0)
IMAGES = DATA.regularization_images
RECORDING = Recording({"a": Session("a", responses=GENERATOR.normal(size=(len(IMAGES), 12, 4)))})


def target(name="neural", **parameters):
    data = RegularizationData(IMAGES, recording=RECORDING)
    return build_target(data, SimilarityParameters(target=name, **parameters), seed=0, folder=None)


def test_a_tenth_is_held_out_whatever_the_recipe():
    pairs = pair_count(len(IMAGES))
    neural, pixel, low = target(), target("pixel"), target("low", threshold=0.3)
    assert len(neural.held_out) == round(pairs / 10)
    assert torch.equal(neural.held_out, pixel.held_out)
    assert sorted([*neural.allowed.tolist(), *neural.held_out.tolist()]) == list(range(pairs))
    assert set(low.held_out.tolist()) <= set(neural.held_out.tolist())
    assert not set(low.allowed.tolist()) & set(neural.held_out.tolist())


def test_no_pair_is_held_out_of_images_without_a_recording():
    built = build_target(RegularizationData(IMAGES), SimilarityParameters(target="pixel"), seed=0, folder=None)
    assert (built.allowed, built.held_out) == (None, None)


def test_shuffled_values_are_those_of_all_pairs():
    plain, shuffled = target(), target(shuffled=True)
    assert torch.equal(plain.values.sort().values, shuffled.values.sort().values)
    assert not torch.equal(plain.values, shuffled.values)


def test_a_target_whose_only_pairs_are_held_out_is_refused():
    only = hold_out(None, 50).held_out[:1]
    assert len(hold_out(only, 50).drawn) == 0
    similarity = condensed(torch.eye(3))
    assert len(hold_out(None, len(similarity)).drawn) == 3
    with pytest.raises(UserError, match="leaves no pair"):
        target("high", threshold=0.999)


def test_the_correlation_over_pairs_against_numpy():
    matrix = torch.from_numpy(np.corrcoef(GENERATOR.normal(size=(9, 5))))
    values = torch.from_numpy(GENERATOR.normal(size=36))
    ranks = torch.tensor([3, 30, 7, 12, 20])
    expected = np.corrcoef(condensed(matrix)[ranks], values[ranks])[0, 1]
    assert correlation_at(matrix, values, ranks) == pytest.approx(expected)
    assert correlation_at(matrix, torch.zeros(36), ranks) == 0.0


def test_the_log_of_a_training_says_what_was_reached():
    recipe = SimilarityRegularizer(replace(setting(), recording=RECORDING), target="neural")
    rows = train(network(), recipe, DATA, SPEC, seed=0, alpha=10.0, device="cpu").log
    assert all(-1 <= row[name] <= 1 for row in rows for name in ("drawn_correlation", "held_out_correlation"))
    assert rows[-1]["drawn_correlation"] != rows[0]["drawn_correlation"]
    plain = SimilarityRegularizer(setting(), target="pixel")
    assert "held_out_correlation" not in train(network(), plain, DATA, SPEC, seed=0, alpha=1.0, device="cpu").log[0]
