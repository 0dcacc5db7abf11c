"""Recipes that train on blurred images or on mixtures of images."""

import dataclasses

import numpy as np
import pytest
import scipy.ndimage
import torch
from PIL import Image, ImageOps
from torch.nn import functional

from robustbench_pix.catalogue.registries import regularizers
from robustbench_pix.errors import UserError
from robustbench_pix.recipes.augmix import AugMix, dirichlet, jensen_shannon, mixtures
from robustbench_pix.recipes.augmix_operations import (
    OPERATIONS,
    affine,
    autocontrast,
    equalize,
    moved,
    posterize,
    solarize,
    transformed,
)
from robustbench_pix.recipes.blur import gaussian_blur, gaussian_kernel
from robustbench_pix.recipes.contract import Batch, Step, defines
from robustbench_pix.recipes.lowpass_data import LowPassData
from robustbench_pix.recipes.mixup import Mixup
from robustbench_pix.training.loop import train
from tests.recipes.test_contract import tools_of
from tests.recipes.test_recipes import context_of
from tests.training.models import DATA, SPEC, network, setting

BATCH = Batch(DATA.images[:64] / 255, DATA.labels[:64])
PHOTOS = torch.from_numpy(np.random.default_rng(3).beta(2, 5, (6, 3, 20, 24))).float().mul(255).round() / 255


def weights_after(recipe, epochs=1):
    net = network()
    train(net, recipe, DATA, SPEC.model_copy(update={"epochs": epochs}), seed=0, alpha=1.0, device="cpu")
    return net.state_dict()


def assert_plain(recipe):
    plain, found = weights_after(None), weights_after(recipe)
    assert all(torch.equal(value, found[name]) for name, value in plain.items())


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("lowpass-data", {"sigma": 0}),
        ("mixup", {"concentration": 0}),
        ("augmix", {"severity": 11}),
        ("augmix", {"divergence": -1}),
    ],
)
def test_a_parameter_out_of_range_is_one_sentence(name, parameters):
    with pytest.raises(UserError, match=rf"{next(iter(parameters))} must be .*\(got "):
        regularizers.load(name).check(parameters, None, 0)


def test_lowpass_data_blurs_the_training_images_and_nothing_else():
    changed = LowPassData(setting(), sigma=1.0).batch(BATCH, tools_of(network()))
    assert torch.equal(changed.images, gaussian_blur(BATCH.images, gaussian_kernel(1.0)))
    assert torch.equal(changed.targets, BATCH.targets)
    assert not defines(LowPassData, "network")
    assert list(weights_after(LowPassData(setting()))) == list(network().state_dict())


def test_mixup_is_numpys_mixture():
    recipe, tools = Mixup(context_of(network()), concentration=0.4), tools_of(network())
    recipe.begin(0, tools)
    tools.steps_taken += 4
    share = float(recipe.shares[1])
    changed = recipe.batch(BATCH, tools)
    images, labels = BATCH.images.numpy(), np.eye(10)[BATCH.targets.numpy()]
    for found, values in ((changed.images, images), (changed.targets, labels)):
        expected = [share * values[k] + (1 - share) * values[k - 1] for k in range(64)]
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    loss = functional.cross_entropy(torch.randn(64, 10), changed.targets)
    assert loss.isfinite()


def test_the_shares_of_mixup_are_those_of_a_beta_distribution():
    context = dataclasses.replace(context_of(network()), steps_per_epoch=20_000)
    recipe = Mixup(context, concentration=0.2)
    recipe.begin(3, None)
    first = recipe.shares.clone()
    assert float(first.mean()) == pytest.approx(0.5, abs=0.01)
    assert float(first.var()) == pytest.approx(1 / (4 * (2 * 0.2 + 1)), rel=0.03)
    recipe.begin(4, None)
    assert (first == recipe.shares).float().mean() < 0.01


def test_mixup_with_shares_of_one_is_plain():
    class OneHot(Mixup):
        def begin(self, epoch, tools):
            self.shares.fill_(1)

    plain, found = weights_after(None), weights_after(OneHot(context_of(network())))
    for name, value in plain.items():
        torch.testing.assert_close(value, found[name], rtol=1e-4, atol=1e-6, msg=name)


def test_augmix_without_severity_and_divergence_is_plain():
    assert_plain(AugMix(setting(), severity=0, divergence=0))


def pillow(change, images):
    channels = [
        np.asarray(change(Image.fromarray(channel))) for channel in (images * 255).round().byte().flatten(0, 1).numpy()
    ]
    return torch.from_numpy(np.stack(channels)).view(images.shape) / 255


@pytest.mark.parametrize("images", [PHOTOS, DATA.images[:6] / 255, torch.full((1, 1, 8, 8), 0.2)])
def test_photometric_operations_are_pillows(images):
    half = torch.full((len(images),), 0.3)
    assert torch.allclose(equalize(images), pillow(ImageOps.equalize, images), atol=1e-6)
    assert torch.allclose(autocontrast(images), pillow(ImageOps.autocontrast, images), atol=1.1 / 255)
    assert torch.allclose(posterize(images, half), pillow(lambda image: ImageOps.posterize(image, 3), images))
    assert torch.allclose(
        solarize(images, half), pillow(lambda image: ImageOps.solarize(image, 256 - 76), images), atol=1e-6
    )


@pytest.mark.parametrize("operation", range(5))
def test_geometric_operations_are_scipys(operation):
    strengths = torch.linspace(-1, 1, len(PHOTOS))
    matrix, shift = affine(torch.full((len(PHOTOS),), operation), strengths, 20, 24)
    found = moved(PHOTOS, matrix, shift)
    centre = np.array([9.5, 11.5])
    for image in range(len(PHOTOS)):
        rows = matrix[image].double().numpy()[::-1, ::-1]
        offset = centre + shift[image].double().numpy()[::-1] - rows @ centre
        for channel in range(3):
            expected = scipy.ndimage.affine_transform(
                PHOTOS[image, channel].double().numpy(), rows, offset, order=1, mode="grid-constant"
            )
            np.testing.assert_allclose(found[image, channel].numpy(), expected, atol=1e-4)


def test_geometric_operations_are_of_the_stated_size():
    matrix, shift = affine(torch.arange(5), torch.ones(5), 20, 24)
    assert float(matrix[0, 0, 0]) == pytest.approx(np.cos(np.radians(30)))
    assert matrix[1].tolist() == [[1, pytest.approx(0.3)], [0, 1]]
    assert matrix[2].tolist() == [[1, 0], [pytest.approx(0.3), 1]]
    assert shift[3:].tolist() == [[8, 0], [0, pytest.approx(20 / 3)]]
    matrix, shift = affine(torch.arange(OPERATIONS), torch.zeros(OPERATIONS), 20, 24)
    assert torch.equal(matrix, torch.eye(2).expand(OPERATIONS, 2, 2))
    assert not shift.any()


def test_every_image_gets_its_own_operation():
    images = PHOTOS[:1].repeat(OPERATIONS, 1, 1, 1)
    strengths, signs = torch.full((OPERATIONS,), 0.5), torch.ones(OPERATIONS)
    found = transformed(images, torch.arange(OPERATIONS), strengths, signs)
    assert torch.equal(found[5], autocontrast(PHOTOS[:1])[0])
    assert torch.equal(found[6], equalize(PHOTOS[:1])[0])
    assert torch.equal(found[7], posterize(PHOTOS[:1], strengths[:1])[0])
    assert torch.equal(found[8], solarize(PHOTOS[:1], strengths[:1])[0])
    assert torch.equal(found[2], moved(PHOTOS[:1], *affine(torch.tensor([2]), strengths[:1], 20, 24))[0])


def test_mixtures_are_images_that_depend_on_severity_and_name():
    tools = tools_of(network())
    weak, strong = (mixtures(BATCH.images, severity, tools, "first") for severity in (0.1, 3.0))
    assert all(0 <= float(mixed.min()) <= float(mixed.max()) <= 1 + 1e-6 for mixed in (weak, strong))
    assert not torch.equal(strong, mixtures(BATCH.images, 3.0, tools, "second"))
    assert torch.equal(strong, mixtures(BATCH.images, 3.0, tools, "first"))
    assert torch.equal(mixtures(BATCH.images, 0, tools, "first"), BATCH.images)


def test_augmix_has_three_views_normalized_together_or_one_mixture():
    tools = tools_of(network())
    views = AugMix(setting()).batch(BATCH, tools)
    first, *others = views.images.chunk(views.views)
    assert (views.views, views.joint, len(others)) == (3, True, 2)
    assert torch.equal(first, BATCH.images)
    assert all(not torch.equal(first, other) for other in others)
    single = AugMix(setting(), divergence=0).batch(BATCH, tools)
    assert single.views == 1
    assert torch.equal(single.images, others[0])


def test_the_divergence_is_that_of_entropies():
    """H(mean) - mean of H, by another formula than that of the code."""
    logits = torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    answers = logits.softmax(dim=2).numpy()

    def entropy(p):
        return -(p * np.log(p)).sum(axis=-1)

    expected = (entropy(answers.mean(axis=0)) - entropy(answers).mean(axis=0)).mean()
    assert float(jensen_shannon(list(logits))) == pytest.approx(expected, rel=1e-6)
    assert expected > 0
    assert float(jensen_shannon([logits[0]] * 3)) == pytest.approx(0, abs=1e-12)
    step = Step(logits=logits.flatten(0, 1), targets=torch.arange(7) % 5, views=3)
    plain = float(functional.cross_entropy(logits[0], step.targets))
    assert float(AugMix(setting(), divergence=2.0).loss(step)) == pytest.approx(plain + 2 * expected, rel=1e-6)


def test_the_weights_of_chains_are_those_of_a_flat_dirichlet_distribution():
    drawn = dirichlet(torch.from_numpy(np.random.default_rng(0).random((3, 200_000))))
    assert torch.allclose(drawn.sum(dim=0), torch.ones(()).double())
    reference = np.random.default_rng(1).dirichlet(np.ones(3), 200_000)
    for power in (1, 2, 3):
        assert float((drawn[0] ** power).mean()) == pytest.approx((reference[:, 0] ** power).mean(), rel=0.02)
