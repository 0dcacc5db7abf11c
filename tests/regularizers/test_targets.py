import re

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from robustbench_pix.catalogue.regularizer_parameters import SimilarityParameters
from robustbench_pix.data.preparation import RegularizationData
from robustbench_pix.errors import UserError
from robustbench_pix.networks.resnet import small
from robustbench_pix.randomness import key_integer
from robustbench_pix.regularizers.pairs import condensed
from robustbench_pix.regularizers.similarity import pixel_similarity
from robustbench_pix.regularizers.targets import build_target

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (30, 1, 3, 3), dtype=np.uint8))
SIMILARITY = condensed(pixel_similarity(IMAGES)).numpy()
CUT = 0.4


def target(name, *, seed=0, **parameters):
    return build_target(
        RegularizationData(IMAGES), SimilarityParameters(target=name, **parameters), seed=seed, folder=None
    )


def test_pixel():
    np.testing.assert_allclose(target("pixel").values.numpy(), SIMILARITY, atol=1e-7)


def test_thresholded():
    expected = np.where(SIMILARITY > CUT, 1.0, np.where(SIMILARITY < -CUT, -1.0, 0.0))
    built = target("thresholded", threshold=CUT)
    np.testing.assert_array_equal(built.values.numpy(), expected)
    assert built.allowed is None


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("low", np.abs(SIMILARITY) < CUT),
        ("high", np.abs(SIMILARITY) > CUT),
        ("positive", (SIMILARITY > CUT) | (np.abs(SIMILARITY) < CUT)),
        ("negative", (SIMILARITY < -CUT) | (np.abs(SIMILARITY) < CUT)),
    ],
)
def test_ablations_keep_a_subset_of_the_pairs_and_the_targets(name, kept):
    built = target(name, threshold=CUT)
    assert built.allowed.tolist() == np.flatnonzero(kept).tolist()
    assert 0 < kept.sum() < len(kept)
    assert torch.equal(built.values, target("thresholded", threshold=CUT).values)


def test_double():
    built = target("double", threshold=0.6, second_threshold=0.2)
    kept = (np.abs(SIMILARITY) > 0.6) | (np.abs(SIMILARITY) < 0.2)
    assert built.allowed.tolist() == np.flatnonzero(kept).tolist()


def test_shuffled_keeps_the_values_and_moves_them_by_one_permutation_a_seed():
    plain, shuffled = target("thresholded", threshold=CUT), target("thresholded", threshold=CUT, shuffled=True)
    assert torch.equal(plain.values.sort().values, shuffled.values.sort().values)
    assert not torch.equal(plain.values, shuffled.values)
    assert torch.equal(shuffled.values, target("thresholded", threshold=CUT, shuffled=True).values)
    assert not torch.equal(shuffled.values, target("thresholded", threshold=CUT, shuffled=True, seed=1).values)


def test_shuffled_is_no_permutation_of_images():
    """A permutation of images would keep the spectrum of the matrix of similarities; one of the pairs does not."""
    plain, shuffled = target("pixel"), target("pixel", shuffled=True)

    def spectrum(values):
        matrix = torch.eye(len(IMAGES))
        rows, columns = torch.triu_indices(len(IMAGES), len(IMAGES), offset=1)
        matrix[rows, columns] = matrix[columns, rows] = values
        return torch.linalg.eigvalsh(matrix)

    assert (spectrum(plain.values) - spectrum(shuffled.values)).abs().max() > 0.5


def test_decorrelated():
    assert not target("zero").values.any()


def test_what_is_kept_for_other_seeds_belongs_to_the_images():
    generator = torch.Generator().manual_seed(3)
    many = torch.randint(0, 256, (12, 1, 4, 4), dtype=torch.uint8, generator=generator)
    for images in (many, many.flip(2).flip(0), many.view(6, 1, 8, 4), many):
        values = build_target(
            RegularizationData(images), SimilarityParameters(target="pixel"), seed=0, folder=None
        ).values
        flat = images.flatten(1).double().numpy()
        expected = 1 - pdist(flat - flat.mean(axis=0), "cosine")
        np.testing.assert_allclose(values, expected, atol=1e-6)


def test_labels_against_loops():
    labels = torch.tensor([3, 1, 3, 0, 1])
    data = RegularizationData(IMAGES[:5], labels)
    pairs = [(i, j) for i in range(5) for j in range(i + 1, 5)]
    same = [float(labels[i] == labels[j]) for i, j in pairs]
    built = build_target(data, SimilarityParameters(target="labels"), seed=0, folder=None)
    assert built.values.tolist() == same
    centred = build_target(data, SimilarityParameters(target="labels", centred=True), seed=0, folder=None)
    np.testing.assert_allclose(centred.values, [(one - 1 / 3) / (1 - 1 / 3) for one in same], rtol=1e-6)


def test_labels_that_are_absent_are_told():
    with pytest.raises(UserError, match=r"^The target 'labels' needs labels, which the regularization data do not"):
        target("labels")


def untrained(seed):
    torch.manual_seed(seed)
    return small(channels=1, classes=10, width=2)


def test_random_network_against_numpy_and_the_same_for_every_seed():
    parameters = SimilarityParameters(target="random-network")
    images = torch.from_numpy(np.random.default_rng(5).integers(0, 256, (9, 1, 8, 8), dtype=np.uint8))

    def built(seed):
        return build_target(
            RegularizationData(images), parameters, seed=seed, folder=None, untrained=untrained
        ).values.numpy()

    with torch.no_grad():
        maps = untrained(key_integer("random-network", bits=32)).eval().features(images.float() / 255)
    layers = [1 - pdist(layer.flatten(1).double().numpy() - layer.flatten(1).double().numpy().mean(0), "cosine")
              for layer in maps]  # fmt: skip
    np.testing.assert_allclose(built(0), np.mean(layers, axis=0), atol=1e-6)
    np.testing.assert_array_equal(built(0), built(1))


@pytest.mark.parametrize("name", ["pixel", "low", "positive", "labels", "random-network"])
def test_every_target_can_be_shuffled(name):
    labels = torch.arange(30) % 3
    data = RegularizationData(torch.nn.functional.pad(IMAGES, (2, 3, 2, 3)), labels)
    plain, shuffled = (
        build_target(
            data,
            SimilarityParameters(target=name, threshold=CUT, shuffled=shuffle),
            seed=0,
            folder=None,
            untrained=untrained,
        )
        for shuffle in (False, True)
    )
    assert (plain.allowed is None) == (shuffled.allowed is None)
    drawn = slice(None) if plain.allowed is None else plain.allowed
    assert torch.equal(plain.values[drawn].sort().values, shuffled.values[drawn].sort().values)


def test_a_threshold_that_selects_no_pair_is_told_with_those_that_do():
    with pytest.raises(UserError, match=r"'high' with threshold = 0.99 leaves no pair .* 0.\d+ selects 10.0%"):
        target("high", threshold=0.99)


def test_a_threshold_that_selects_no_pair_says_which_would():
    images = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    sizes = condensed(pixel_similarity(images)).abs()
    with pytest.raises(UserError, match=r"^The threshold 0\.99 selects no pair .* 0\.\d+ selects 10\.0%") as told:
        build_target(RegularizationData(images), SimilarityParameters(threshold=0.99), seed=0, folder=None)
    stated = float(re.search(r"pairs (0\.\d+) selects 10\.0%", str(told.value))[1])
    assert float((sizes > stated).double().mean()) == pytest.approx(0.1, abs=0.01)
