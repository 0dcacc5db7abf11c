"""The 15 corruptions against the published definitions, image by image; and what holds for all of them."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn import functional

import robustbench_pix as rbp
from robustbench_pix.attacks.corruptions.corruption import CORRUPTIONS, Corruption
from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.data.base import load_dataset
from robustbench_pix.errors import JobFailedError
from robustbench_pix.results.columns import WORST_CASE
from tests.attacks.corrupted import corrupted
from tests.attacks.toys import blind, keys_of
from tests.workspaces import tiny_workspace

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 24, 20)]
SEVERITIES = range(6)


def textures(count, channels, height, width, seed=0):
    """Return pictures of 256 levels whose power falls with the frequency, as that of photographs."""
    generator = torch.Generator().manual_seed(seed)
    fields = [
        weight
        * functional.interpolate(
            torch.randn(count, channels, cells, cells, generator=generator), (height, width), mode="bilinear"
        )
        for cells, weight in ((3, 1.0), (6, 0.6), (12, 0.4), (24, 0.25))
    ]
    return ((0.5 + 0.25 * sum(fields)).clamp(0, 1) * 255).round() / 255


def digits(tmp_path):
    return load_dataset("digits", None, root=tmp_path, colour="gray").test_images.float() / 255


def perturbed(name, images, strengths=SEVERITIES, keys=None):
    keys = keys_of(len(images)) if keys is None else keys
    return torch.stack(list(Corruption(name).perturb(blind(), images, torch.zeros(len(images)), strengths, keys)))


def distances(name, images):
    return [float(change.flatten(1).norm(dim=1).mean()) for change in perturbed(name, images) - images]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_as_published(name, shape):
    images, keys = textures(3, *shape), keys_of(3)
    got = perturbed(name, images).double().numpy().transpose(0, 1, 3, 4, 2)
    draws = Corruption(name).draws(keys, images)
    for index in range(3):

        def draw(kind, number, *shape, index=index):
            return getattr(draws, kind)(number, *shape)[index].double().numpy()

        image = images[index].double().numpy().transpose(1, 2, 0)
        for severity in range(1, 6):
            expected = corrupted(name, image, severity, draw)
            np.testing.assert_allclose(got[severity, index], expected, atol=2e-5, err_msg=f"severity {severity}")


def test_black_and_white_images_stay_finite():
    images = torch.tensor([0.0, 1.0])[:, None, None, None].expand(2, 3, 8, 8)
    for name in CORRUPTIONS:
        results = perturbed(name, images)
        assert results.isfinite().all(), name


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_keyed_by_image_whatever_the_batch(name, channels):
    images, keys = textures(5, channels, 8, 8), keys_of(5)
    together = perturbed(name, images)
    assert together.min() >= 0
    assert together.max() <= 1
    assert together.dtype == torch.float32
    assert torch.equal(together[0], images)
    backwards = perturbed(name, images.flip(0), keys=keys[::-1])
    assert torch.equal(together, backwards.flip(1))
    alone = torch.cat([perturbed(name, images[i : i + 1], keys=keys[i : i + 1]) for i in range(5)], dim=1)
    assert torch.equal(alone, together)
    assert torch.equal(perturbed(name, images, (0, 4)), together[[0, 4]]), "a severity does not depend on the others"


DETERMINED = {"defocus-blur", "zoom-blur", "brightness", "contrast", "pixelate", "jpeg-compression"}


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - DETERMINED))
@pytest.mark.parametrize("changed", [{"task": "other"}, {"repetition": 1}, {"seed": 1}])
def test_other_keys_draw_other_numbers(name, changed):
    images = textures(1, 1, 16, 16).expand(3, -1, -1, -1)
    first, second, _ = perturbed(name, images, (5,))[0]
    assert not torch.equal(first, second)
    assert not torch.equal(first, perturbed(name, images, (5,), keys_of(3, **changed))[0, 0])


FALLING = {
    # What the published numbers bring nearer to the image again: a second blur smooths what glass displaced, frost
    # darkens what it brightened, and an elastic transform moves the corners less the more it deforms.
    "glass-blur": {2, 3, 5},
    "frost": {4, 5},
    "elastic-transform": {2, 3, 4, 5},
}
FALLING_ON_DIGITS = {
    "glass-blur": {2, 3, 5},
    "frost": {4},
    "elastic-transform": {2, 5},
    # Of 8 pixels 7, 7, 6, 6 and 5 are left, and flakes are as large as a digit's strokes.
    "pixelate": {5},
    "snow": {3, 5},
}


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("pictures", ["digits", "textures"])
def test_distance_grows_with_severity_where_it_does_by_definition(name, pictures, tmp_path):
    images = digits(tmp_path) if pictures == "digits" else textures(100, 3, 32, 32)
    falling = (FALLING_ON_DIGITS if pictures == "digits" else FALLING).get(name, set())
    far = distances(name, images)
    assert {severity for severity, (low, high) in enumerate(pairwise(far), start=1) if high < low - 1e-5} == falling
    assert 0 == far[0] < 0.1 < far[1]


def test_frost_hides_ever_more_of_an_image():
    """As no darkening can undo: the correlation with the image falls, where nothing is as bright as can be."""
    images = 0.3 * textures(50, 3, 32, 32)
    likeness = [
        np.mean([np.corrcoef(image, other)[0, 1] for image, other in zip(images.flatten(1), frosted, strict=True)])
        for frosted in perturbed("frost", images).flatten(2)
    ]
    assert all(high < low for low, high in pairwise(likeness))


def test_frost_is_as_bright_and_as_uneven_as_the_published_photographs():
    """Measured on 3,000 crops of 32x32 pixels out of the five photographs, made smaller by five as published."""
    on_black = perturbed("frost", torch.zeros(400, 3, 32, 32), (1,))[0] / 0.2
    torch.testing.assert_close(on_black.mean(dim=(0, 2, 3)), torch.tensor([0.565, 0.650, 0.697]), atol=0.02, rtol=0)
    assert on_black.mean(dim=(1, 2, 3)).std() == pytest.approx(0.151, abs=0.012)
    assert on_black.std(dim=(2, 3)).mean() == pytest.approx(0.087, abs=0.008)
    assert on_black.square().mean().sqrt() == pytest.approx(0.665, abs=0.02)


def test_every_corruption_and_each_of_its_draws_has_numbers_of_its_own():
    images, keys = textures(2, 1, 8, 8), keys_of(2)
    draws = Corruption("snow").draws(keys, images)
    assert not torch.equal(draws.uniform(0, 8, 8), draws.uniform(1, 8, 8))
    assert not torch.equal(draws.uniform(0, 8, 8), Corruption("frost").draws(keys, images).uniform(0, 8, 8))
    assert draws.normal(0, 8, 8).min() < 0


def test_jpeg_rounds_to_the_nearest_level():
    images = 0.9 * textures(3, 1, 16, 16)
    levels = (images * 255).round() / 255
    assert torch.equal(perturbed("jpeg-compression", images, (3,)), perturbed("jpeg-compression", levels, (3,)))


@pytest.mark.parametrize("strength", [0.5, 6, -1])
def test_a_strength_that_is_no_severity_is_refused(strength):
    with pytest.raises(JobFailedError, match=r"severities are 0, 1, 2, 3, 4 and 5 \(got"):
        perturbed("fog", textures(1, 1, 8, 8), (strength,))


def test_a_name_that_is_no_corruption_is_refused():
    with pytest.raises(ValueError, match=r"name 'fogg' is no corruption of CIFAR-10-C\. Did you mean fog\?"):
        Corruption("fogg")


TRAINED = """\
summary = "Digits, trained for seconds"
dataset = "digits"
network = "small"

[network_parameters]
width = 8

[training]
epochs = 8
learning_rate = 0.05
decay_every = 3
restart_every = 8
"""


def test_mean_error_of_a_trained_network_grows_with_severity(tmp_path):
    (tiny_workspace(tmp_path) / "models/tasks/tiny.toml").write_text(TRAINED)
    request = {"suite": "corruptions", "on": "tiny", "recipes": "unregularized", "seeds": 1}
    measured = rbp.run(workspace=tmp_path, device="cpu", executor="inline", **request)
    measured = measured[measured["attack"] != WORST_CASE]
    entries = [Workspace(tmp_path).attack(name) for name in measured["attack"].unique()]
    assert [spec.parameters["name"] for spec in entries] == list(CORRUPTIONS)
    assert set(measured["flags"]) == {""}
    accuracy = measured.groupby("strength")["accuracy"].mean()
    assert list(accuracy.index) == [0, 1, 2, 3, 4, 5]
    assert accuracy[0] > 0.85
    assert (accuracy.diff().dropna() < 0).all(), accuracy
