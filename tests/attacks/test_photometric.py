import numpy as np
import pytest
import torch
from scipy import ndimage, stats
from torchvision.transforms.v2 import functional as torchvision_functional

from robustbench_pix.attacks.transforms import (
    Blur,
    Brightness,
    Contrast,
    Occlusion,
    Rotation,
    Scaling,
    Shadow,
    Shear,
    Translation,
)
from tests.attacks.toys import blind, keys_of

KEYED = [Rotation, Translation, Scaling, Shear, Brightness, Occlusion, Shadow]
CHANGES = [*KEYED, Contrast, Blur]


def changed(attack, images, *strengths, keys=None):
    keys = keys_of(len(images)) if keys is None else keys
    return list(attack().perturb(blind(), images, torch.zeros(len(images)), strengths, keys))


def images_of(count, channels=3, height=9, width=12):
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("attack", CHANGES)
@pytest.mark.parametrize("channels", [1, 3])
def test_strength_zero_is_the_image_and_no_other_is(attack, channels):
    images = images_of(4, channels)
    zero, weak, strong = changed(attack, images, 0.0, 0.3, 0.8)
    assert torch.equal(zero, images)
    for result in (weak, strong):
        assert result.shape == images.shape
        assert result.dtype == torch.float32
        assert (result != images).flatten(1).any(dim=1).all()
        assert 0 <= result.min() <= result.max() <= 1
    assert ((strong - images).norm() > (weak - images).norm()).item()


@pytest.mark.parametrize("attack", CHANGES)
def test_an_image_is_changed_in_its_own_way_whatever_the_batch(attack):
    images, keys = images_of(6), keys_of(6)
    together = torch.stack(changed(attack, images, 0.2, 0.6, keys=keys))
    backwards = torch.stack(changed(attack, images.flip(0), 0.2, 0.6, keys=keys[::-1]))
    assert torch.equal(together, backwards.flip(1))
    for index in range(6):
        alone = torch.stack(changed(attack, images[index : index + 1], 0.2, 0.6, keys=keys[index : index + 1]))
        assert torch.equal(alone[:, 0], together[:, index])


@pytest.mark.parametrize("attack", KEYED)
@pytest.mark.parametrize("other", [{"task": "other"}, {"repetition": 1}, {"seed": 1}])
def test_other_keys_give_other_changes(attack, other):
    same = images_of(1).expand(16, -1, -1, -1)
    one, another = changed(attack, same, 0.3)[0], changed(attack, same, 0.3, keys=keys_of(16, **other))[0]
    assert not torch.equal(one, another)
    assert len({result.numpy().tobytes() for result in one}) > 1


def test_brightness_moves_all_entries_alike_and_up_or_down():
    images = images_of(24)
    up = 0
    for got, image in zip(changed(Brightness, images, 0.3)[0].numpy(), images.numpy(), strict=True):
        higher = np.allclose(got, np.clip(image + 0.3, 0, 1), atol=1e-6)
        assert higher or np.allclose(got, np.clip(image - 0.3, 0, 1), atol=1e-6)
        up += higher
    assert 4 < up < 20


@pytest.mark.parametrize("channels", [1, 3])
def test_contrast_is_taken_away_as_torchvision_does(channels):
    images = images_of(5, channels)
    expected = torchvision_functional.adjust_contrast(images, 1 - 0.7)
    torch.testing.assert_close(changed(Contrast, images, 0.7)[0], expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("deviation", [0.4, 1.0, 2.5])
def test_blur_is_the_gaussian_filter_of_scipy(deviation):
    images = images_of(3, height=8, width=15)
    radius = int(np.ceil(4 * deviation))
    expected = images.double().numpy()
    for axis in (2, 3):
        expected = ndimage.gaussian_filter1d(expected, deviation, axis=axis, mode="nearest", radius=radius)
    np.testing.assert_allclose(changed(Blur, images, deviation)[0], expected, atol=1e-6)


def edges(profile, side):
    """Return where an interval of so many pixels begins and ends that covers pixels as the profile says."""
    first = int((profile > 1e-6).argmax())
    low = first + 1 - profile[first]
    return low, low + side


def overlaps(length, low, high):
    return np.array([max(0.0, min(place + 1, high) - max(place, low)) for place in range(length)])


@pytest.mark.parametrize("share", [0.05, 0.25, 0.7])
def test_a_gray_patch_of_its_share_of_the_area_is_wholly_inside(share):
    covered = 2 * changed(Occlusion, torch.zeros(30, 3, 9, 12), share)[0].double().numpy()
    np.testing.assert_allclose(covered.sum(axis=(2, 3)), share * 9 * 12, rtol=1e-5)
    sides = np.sqrt(share) * 9, np.sqrt(share) * 12
    for patch in covered[:, 0]:
        rows = overlaps(9, *edges(patch.sum(axis=1) / sides[1], sides[0]))
        columns = overlaps(12, *edges(patch.sum(axis=0) / sides[0], sides[1]))
        np.testing.assert_allclose(patch, rows[:, None] * columns, atol=1e-5)
    images = images_of(30)
    expected = images.numpy() * (1 - covered) + 0.5 * covered
    np.testing.assert_allclose(changed(Occlusion, images, share)[0], expected, atol=1e-6)


def test_a_patch_may_lie_anywhere_and_lies_inside_the_larger_ones():
    small, large = changed(Occlusion, torch.zeros(300, 1, 10, 10), 0.09, 0.3)
    assert (large >= small - 1e-6).all()
    for axis in (2, 3):
        begins = [edges(2 * profile / 3, 3)[0] for profile in small.sum(dim=axis)[:, 0].double().numpy()]
        assert stats.kstest(begins, stats.uniform(0, 7).cdf).pvalue > 0.01


def test_a_shadow_is_a_half_plane_whose_edge_crosses_the_middle():
    white = torch.ones(60, 1, 14, 20)
    shaded = ((1 - changed(Shadow, white, 0.8)[0][:, 0]) / 0.8).double().numpy()
    below, right = np.mgrid[0:14, 0:20]
    normals = []
    for mask in shaded:
        assert mask.min() < 1e-6
        assert mask.max() > 1 - 1e-6
        edge = (mask > 1e-4) & (mask < 1 - 1e-4)
        places = np.stack([right[edge], below[edge], np.ones(edge.sum())], axis=1)
        plane, *_ = np.linalg.lstsq(places, mask[edge], rcond=None)
        if np.linalg.matrix_rank(places) == 3:
            assert np.hypot(plane[0], plane[1]) == pytest.approx(1, abs=1e-3)
            everywhere = np.clip(plane[0] * right + plane[1] * below + plane[2], 0, 1)
            np.testing.assert_allclose(mask, everywhere, atol=1e-3)
            normals.append(np.arctan2(plane[1], plane[0]))
    assert len(normals) > 40
    assert np.histogram(normals, bins=4, range=(-np.pi, np.pi))[0].min() > 3
    assert shaded.mean() == pytest.approx(0.5, abs=0.1)
    images = images_of(60, 3, 14, 20)
    expected = images.numpy() * (1 - 0.5 * shaded[:, None])
    np.testing.assert_allclose(changed(Shadow, images, 0.5)[0], expected, atol=1e-5)
