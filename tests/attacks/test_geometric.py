import numpy as np
import pytest
import torch
from scipy import ndimage, stats
from torchvision.transforms.v2 import functional as torchvision_functional

from robustbench_pix.attacks.transforms import Rotation, Scaling, Shear, Translation, rotated
from tests.attacks.toys import blind, keys_of


def changed(attack, images, *strengths):
    keys = keys_of(len(images))
    return list(attack().perturb(blind(), images, torch.zeros(len(images)), strengths, keys))


def images_of(count, height=9, width=12, channels=3):
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(0))


def resampled(image, matrix, shift=(0.0, 0.0)):
    """Return an image (C, H, W) with the pixel at p, (below, right) of the centre, taken from matrix @ p + shift."""
    centre = (np.array(image.shape[1:]) - 1) / 2
    offset = centre - np.array(matrix) @ centre + shift
    planes = [ndimage.affine_transform(p, matrix, offset, order=1, mode="grid-constant") for p in image]
    return np.stack(planes)


def each_is_one_of(results, images, matrices):
    """Return which of the matrices each image was resampled with; one of them it must be."""
    chosen = []
    for got, image in zip(results.numpy(), images.numpy(), strict=True):
        gaps = [np.abs(got - resampled(image, matrix)).max() for matrix in matrices]
        assert min(gaps) < 1e-5
        chosen.append(int(np.argmin(gaps)))
    return chosen


@pytest.mark.parametrize("degrees", [30.0, -75.0, 90.0])
def test_a_turn_is_counterclockwise_as_scipy_and_torchvision_turn(degrees):
    images = images_of(4)
    got = rotated(images, torch.full((4,), degrees))
    turned = ndimage.rotate(images.numpy(), degrees, axes=(3, 2), reshape=False, order=1, mode="grid-constant")
    np.testing.assert_allclose(got, turned, atol=1e-5)
    expected = torchvision_functional.rotate(images, degrees, torchvision_functional.InterpolationMode.BILINEAR)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_a_quarter_turn_of_a_square_image_only_moves_its_pixels():
    images = images_of(2, 8, 8)
    torch.testing.assert_close(rotated(images, torch.full((2,), 90.0)), images.rot90(1, (2, 3)), atol=1e-5, rtol=0)


def test_rotation_turns_each_image_its_own_way_at_every_strength():
    images = images_of(24)
    ways = []
    for degrees, results in zip((20.0, 45.0), changed(Rotation, images, 20.0, 45.0), strict=True):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        ways.append(each_is_one_of(results, images, [[[c, s], [-s, c]], [[c, -s], [s, c]]]))
    assert ways[0] == ways[1]
    assert 4 < sum(ways[0]) < 20


def test_scaling_is_by_a_factor_of_two_an_octave_up_or_down():
    images = images_of(24)
    ways = each_is_one_of(changed(Scaling, images, 0.5)[0], images, [np.eye(2) * 2**0.5, np.eye(2) / 2**0.5])
    assert 4 < sum(ways) < 20
    bright = torch.zeros(24, 1, 16, 16)
    bright[:, :, 6:10, 6:10] = 1
    areas = changed(Scaling, bright, 1.0)[0].sum(dim=(1, 2, 3))
    assert {round(area) for area in areas.tolist()} == {4, 64}, "half or double the side of 4 pixels"


def test_shear_slants_one_kind_of_lines_by_its_degrees():
    images, slope = images_of(40), np.tan(np.radians(30))
    slants = [[[1, 0], [sign * slope, 1]] for sign in (-1, 1)] + [[[1, sign * slope], [0, 1]] for sign in (-1, 1)]
    ways = each_is_one_of(changed(Shear, images, 30.0)[0], images, slants)
    assert min(np.bincount(ways, minlength=4)) > 3


def test_translation_moves_by_its_share_of_the_sides_in_any_direction():
    images = torch.zeros(200, 1, 21, 41)
    images[:, :, 10, 20] = 1
    results = changed(Translation, images, 0.2)[0].double().numpy()[:, 0]
    below, right = np.mgrid[-10:11, -20:21]
    moved = np.stack([(results * below).sum(axis=(1, 2)) / 21, (results * right).sum(axis=(1, 2)) / 41], axis=1)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 0.2, atol=1e-5)
    angles = np.arctan2(moved[:, 0], moved[:, 1])
    assert stats.kstest(angles, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 0.01
    colourful = images_of(200, 21, 41)
    for got, image, share in zip(changed(Translation, colourful, 0.2)[0], colourful, moved, strict=True):
        expected = resampled(image.numpy(), np.eye(2), -share * (21, 41))
        np.testing.assert_allclose(got, expected, atol=1e-4)
