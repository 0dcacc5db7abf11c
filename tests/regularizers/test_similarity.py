import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robustbench_pix.regularizers.similarity import (
    feature_similarity,
    fisher,
    pixel_similarity,
    similarity_loss,
    threshold,
)


def numpy_pixel_similarity(images: np.ndarray) -> np.ndarray:
    flat = images.astype(np.float64).mean(axis=1).reshape(len(images), -1)
    flat -= flat.mean(axis=0)
    norms = np.sqrt((flat**2).sum(axis=1))
    norms[norms == 0] = 1
    return (flat @ flat.T) / np.outer(norms, norms)


@pytest.mark.parametrize("channels", [1, 3])
def test_pixel_similarity_against_numpy(channels):
    images = np.random.default_rng(0).integers(0, 256, (40, channels, 6, 7), dtype=np.uint8)
    ours = pixel_similarity(torch.from_numpy(images))
    assert ours.dtype == torch.float64
    np.testing.assert_allclose(ours.numpy(), numpy_pixel_similarity(images), atol=1e-12)


def test_an_image_equal_to_the_mean_has_similarity_0():
    images = torch.tensor([[[[0.0, 2.0]]], [[[2.0, 0.0]]], [[[1.0, 1.0]]]])
    similarity = pixel_similarity(images)
    assert torch.equal(similarity[2], torch.zeros(3, dtype=torch.float64))
    assert float(similarity[0, 1]) == pytest.approx(-1)


def test_scale_of_the_images_does_not_matter():
    images = torch.randint(0, 256, (20, 1, 5, 5), dtype=torch.uint8)
    torch.testing.assert_close(pixel_similarity(images), pixel_similarity(images / 255.0), atol=1e-6, rtol=0)


def test_threshold_is_strict_and_odd():
    values = torch.tensor([-1.0, -0.8, -0.3, 0.0, 0.3, 0.8, 1.0], dtype=torch.float64)
    cut = threshold(values, 0.8)
    assert cut.tolist() == [-1, 0, 0, 0, 0, 0, 1]
    assert torch.equal(threshold(-values, 0.8), -cut)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=20), st.floats(0.01, 0.99))
def test_threshold_against_numpy(values, cut):
    ours = threshold(torch.tensor(values, dtype=torch.float64), cut)
    array = np.array(values)
    np.testing.assert_array_equal(ours.numpy(), np.where(array > cut, 1.0, np.where(array < -cut, -1.0, 0.0)))


def test_loss_against_numpy():
    generator = np.random.default_rng(1)
    predicted, target = generator.uniform(-0.99, 0.99, 50), generator.choice([-1.0, 0.0, 1.0], 50)

    def z(s):
        return np.log(1 + s + 1e-5) - np.log(1 - s + 1e-5)

    expected = np.mean((z(predicted) - z(target)) ** 2)
    ours = similarity_loss(torch.from_numpy(predicted), torch.from_numpy(target))
    assert float(ours) == pytest.approx(expected, rel=1e-12)
    in_float32 = similarity_loss(torch.from_numpy(predicted).float(), torch.from_numpy(target).float())
    assert float(in_float32) == pytest.approx(expected, rel=1e-3)


def test_the_loss_is_four_times_the_printed_one():
    predicted, target = torch.tensor([0.3, -0.2]).double(), torch.tensor([0.1, 0.5]).double()
    printed = (torch.atanh(predicted) - torch.atanh(target)).square().mean()
    assert float(similarity_loss(predicted, target, eps=0.0)) == pytest.approx(4 * float(printed), rel=1e-12)


def test_a_target_of_1_is_finite():
    assert float(fisher(torch.tensor(1.0))) == pytest.approx(math.log(2 + 1e-5) - math.log(1e-5), rel=2e-3)
    assert float(fisher(torch.tensor(-1.0))) == pytest.approx(-float(fisher(torch.tensor(1.0))), rel=2e-3)


def test_the_loss_is_float32_under_bfloat16_input():
    loss = similarity_loss(torch.tensor([0.5], dtype=torch.bfloat16), torch.tensor([1.0], dtype=torch.bfloat16))
    assert loss.dtype == torch.float32


def test_feature_similarity_against_numpy():
    generator = np.random.default_rng(2)
    shapes = [(3, 4, 5, 5), (3, 8, 2, 2)]
    first, second = ([generator.normal(size=shape) for shape in shapes] for _ in range(2))
    expected = [
        [np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)) for a, b in zip(one, two, strict=True)]
        for one, two in zip(first, second, strict=True)
    ]
    ours = feature_similarity([torch.from_numpy(x) for x in first], [torch.from_numpy(x) for x in second])
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-12)
