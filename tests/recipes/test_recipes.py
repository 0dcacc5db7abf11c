"""Every recipe that ships: its formula by another route, and what all of them must hold."""

import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch.autograd import gradcheck
from torch.nn import functional

from robustbench_pix.catalogue import recipe_slots
from robustbench_pix.catalogue.registries import regularizers
from robustbench_pix.errors import UserError
from robustbench_pix.networks.segments import BatchNorm2d, differentiable_twice, segmented
from robustbench_pix.recipes.blur import BlurredNetwork, gaussian_blur, gaussian_kernel
from robustbench_pix.recipes.building import build_recipe, recipe_network
from robustbench_pix.recipes.contract import Batch, RecipeContext, Step, needs_of, slots_of
from robustbench_pix.recipes.input_gradient import InputGradient
from robustbench_pix.recipes.label_smoothing import LabelSmoothing
from robustbench_pix.recipes.noise_training import NoiseTrained
from robustbench_pix.recipes.spectrum import gerum_penalty, nassar_penalty
from robustbench_pix.training import loop
from robustbench_pix.training import step as training_step
from robustbench_pix.training.loop import train
from tests.recipes.test_contract import tools_of
from tests.training.models import DATA, SPEC, network, setting

VARIANTS = {
    "augmix-without-divergence": ("augmix", {"divergence": 0.0}),
    "gradient-alignment": ("fast-adversarial", {"alignment": 0.2}),
    "rep-spectral": ("spectral-norm", {"layers": "representation", "operator": "convolution", "burn_in": 0.5}),
}
"""Recipes whose parameters choose other slots or another penalty."""
SHIPPED = [*sorted(regularizers.shipped), *VARIANTS]
ALPHAS = {
    "similarity": 0.5,
    "input-gradient": 0.1,
    "spectral": 0.1,
    "jacobian": 0.01,
    "parseval": 0.001,
    "spectral-norm": 0.01,
}


def context_of(net):
    shapes = tuple(tap.shape[1:] for tap in net.eval().features(torch.zeros(1, 1, 8, 8).to(next(net.parameters()))))
    return RecipeContext(DATA.regularization_images, shapes, 0, None, "tiny", 10, 3, 3)


def trained(name, *, double=False, **changes):
    registered, parameters = VARIANTS.get(name, (name, {"threshold": 0.2} if name == "similarity" else {}))
    target = regularizers.load(registered)
    net = recipe_network(target, network(), parameters, name, channels=1, classes=10, seed=0)
    recipe = build_recipe(target, context_of(net), parameters, name)
    if double:
        net, recipe = net.double(), recipe.double()
    result = train(net, recipe, DATA, SPEC, seed=0, alpha=ALPHAS.get(name, 1.0), device="cpu", **changes)
    return net, result


def test_stated_slots_and_needs_are_those_of_the_classes():
    targets = {name: regularizers.load(name) for name in regularizers.shipped}
    found = {name: (slots_of(target), needs_of(target)) for name, target in targets.items()}
    assert found == {name: (list(stated.slots), list(stated.needs)) for name, stated in recipe_slots.SHIPPED.items()}


@pytest.mark.parametrize("name", SHIPPED)
def test_fused_or_not_a_recipe_trains_the_same_network(name, monkeypatch):
    fused, _ = trained(name, double=True)
    monkeypatch.setattr(training_step, "gains_from_fusion", lambda network, images: False)
    separate, _ = trained(name, double=True)
    for part, value in separate.state_dict().items():
        torch.testing.assert_close(fused.state_dict()[part], value, rtol=1e-7, atol=1e-9, msg=part)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_recipe_trains_the_same_network_twice_and_another_than_none(name):
    (first, result), (second, _) = trained(name), trained(name)
    plain = network()
    train(plain, None, DATA, SPEC, seed=0, alpha=0.0, device="cpu")
    assert all(torch.equal(value, second.state_dict()[part]) for part, value in first.state_dict().items())
    weights = [value for part, value in first.state_dict().items() if part.endswith("linear.weight")]
    assert not torch.equal(weights[0], plain.linear.weight)
    assert all(math.isfinite(value) for row in result.log for value in row.values())


@pytest.mark.parametrize("name", SHIPPED)
def test_a_step_of_a_recipe_can_be_recorded(name, monkeypatch):
    """A recorded step runs its Python once: here every further call is a replay of the operations that it made."""

    class Recorder:
        def capture_blocker(self, function):
            state = torch.get_rng_state(), np.random.get_state()[1].tobytes()
            function()
            same = torch.equal(state[0], torch.get_rng_state()) and state[1] == np.random.get_state()[1].tobytes()
            return None if same else "draws"

        def capture(self, function):
            return function

    plain, _ = trained(name)
    monkeypatch.setattr(loop, "capturer_for", lambda device: Recorder())
    recorded, _ = trained(name)
    assert all(torch.equal(value, recorded.state_dict()[part]) for part, value in plain.state_dict().items())


@pytest.mark.parametrize("name", SHIPPED)
def test_a_network_asked_twice_gives_the_same_logits(name):
    net, _ = trained(name)
    images = DATA.validation_images / 255
    assert torch.equal(net.eval()(images), net(images))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("blur", {"sigma": 0}),
        ("blur", {"sigma": "wide"}),
        ("noise-trained", {"sigma": -1}),
        ("label-smoothing", {"smoothing": 1.5}),
        ("spectral", {"form": "neither"}),
        ("spectral", {"exponent": -1}),
    ],
)
def test_a_parameter_out_of_range_is_one_sentence(name, parameters):
    with pytest.raises(UserError, match=rf"{next(iter(parameters))} must be .*\(got ") as told:
        regularizers.load(name).check(parameters, None, 0)
    assert str(told.value).count("\n") == 0


def test_an_unknown_parameter_is_named():
    with pytest.raises(UserError, match=r"The recipe 'blur' has no parameter width; it takes: sigma\."):
        build_recipe(regularizers.load("blur"), setting(), {"width": 1}, "blur")


@pytest.mark.parametrize("sigma", [0.5, 1.5, 4.0])
def test_blur_is_scipys_with_a_periodic_border(sigma):
    images = torch.rand(2, 3, 8, 11, generator=torch.Generator().manual_seed(0))
    half = math.ceil(2.5 * sigma)
    expected = images.numpy().astype(np.float64)
    for axis in (2, 3):
        expected = scipy.ndimage.gaussian_filter1d(expected, sigma, axis=axis, mode="wrap", radius=half)
    blurred = gaussian_blur(images, gaussian_kernel(sigma))
    np.testing.assert_allclose(blurred.numpy(), expected, atol=1e-6)
    assert torch.allclose(gaussian_blur(torch.full((1, 1, 5, 5), 0.3), gaussian_kernel(sigma)), torch.tensor(0.3))


def test_blur_is_before_the_first_layer_and_has_no_weights():
    net = network().eval()
    behind = BlurredNetwork(net, 1.0).eval()
    images = DATA.validation_images / 255
    blurred = gaussian_blur(images, gaussian_kernel(1.0))
    assert torch.allclose(behind(images), net(blurred), atol=1e-6)
    assert all(map(torch.allclose, behind.features(images), net.features(blurred)))
    assert {name.removeprefix("network.") for name in behind.state_dict()} == set(net.state_dict())


def test_noise_training_adds_noise_of_the_stated_size():
    images = torch.full((64, 1, 16, 16), 0.5)
    noisy = NoiseTrained(setting(), sigma=0.1).batch(Batch(images, torch.zeros(64)), tools_of(network())).images
    spreads = (noisy - images).flatten(1).std(dim=1)
    assert float(spreads.max()) < 0.115
    assert float(spreads.min()) < 0.02
    assert float(spreads.mean()) == pytest.approx(0.05, abs=0.01)
    assert 0 <= float(noisy.min()) <= float(noisy.max()) <= 1


def test_label_smoothing_is_the_cross_entropy_of_the_smoothed_targets():
    logits, labels = torch.randn(7, 5, generator=torch.Generator().manual_seed(0)), torch.arange(7) % 5
    targets = 0.7 * functional.one_hot(labels, 5) + 0.3 / 5
    expected = -(targets * logits.log_softmax(dim=1)).sum(dim=1).mean()
    loss = LabelSmoothing(setting(), smoothing=0.3).loss(Step(logits=logits, targets=labels))
    assert float(loss) == pytest.approx(float(expected), rel=1e-6)


def test_the_input_gradient_is_that_of_numerical_differences():
    net = network().double().eval()
    images = (DATA.images[:3] / 255).double().requires_grad_()
    labels = DATA.labels[:3]
    step = Step(logits=net(images), targets=labels, images=images)
    penalty = InputGradient(setting()).penalty(step)
    total, width = 0.0, 1e-5
    with torch.no_grad():
        for place in range(64):
            moved = torch.zeros(1, 64, dtype=torch.float64)
            moved[0, place] = width
            ends = [
                functional.cross_entropy(net(images + sign * moved.view(1, 1, 8, 8)), labels, reduction="none")
                for sign in (1, -1)
            ]
            total += float(((ends[0] - ends[1]) / (2 * width)).square().sum())
    assert float(penalty.detach()) == pytest.approx(total / 3, rel=1e-5)


def test_the_second_derivative_of_the_input_gradient_passes_batchnorm():
    """In train mode, against numerical differences."""
    generator = torch.Generator().manual_seed(0)
    layer = BatchNorm2d(2).double().train()
    images = torch.rand(4, 2, 3, 3, generator=generator, dtype=torch.float64, requires_grad=True)

    def penalty(scale):
        with differentiable_twice(layer):
            out = functional.softplus(layer(images * scale))
        (gradient,) = torch.autograd.grad(out.pow(3).sum(), images, create_graph=True)
        return gradient.square().sum()

    assert gradcheck(penalty, (torch.tensor(1.3, dtype=torch.float64, requires_grad=True),))


def test_batchnorm_derived_twice_is_batchnorm():
    plain, twice = BatchNorm2d(3).double().train(), BatchNorm2d(3).double().train()
    images = torch.rand(10, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with segmented(plain, (6, 4)):
        expected = plain(images)
    with segmented(twice, (6, 4)), differentiable_twice(twice):
        found = twice(images)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    for one, other in zip(plain.buffers(), twice.buffers(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def numpy_gerum(variances, exponent):
    share = np.maximum(variances / variances.sum(), 0)[:10] + 1e-8
    rank = np.arange(1, len(share) + 1)
    weight = np.log10((rank + 1) / rank)
    offset = np.average(np.log10(share) + exponent * np.log10(rank), weights=weight)
    return np.average((offset - exponent * np.log10(rank) - np.log10(share)) ** 2, weights=weight)


def numpy_nassar(variances, exponent):
    skipped, total = 4, 0.0
    for rank in range(skipped + 1, len(variances) + 1):
        wanted = variances[skipped] * ((skipped + 1) / rank) ** exponent
        relative = variances[rank - 1] / wanted - 1
        total += (relative**2 + max(relative, 0)) if variances[rank - 1] > 0 else 0
    return total / len(variances)


@pytest.mark.parametrize(("ours", "other"), [(gerum_penalty, numpy_gerum), (nassar_penalty, numpy_nassar)])
@pytest.mark.parametrize("exponent", [0.0, 1.0, 3.0])
def test_the_spectral_penalties_are_numpys(ours, other, exponent):
    variances = np.sort(np.random.default_rng(1).gamma(2, size=16))[::-1].copy()
    assert float(ours(torch.from_numpy(variances), exponent)) == pytest.approx(other(variances, exponent), rel=1e-6)


@pytest.mark.parametrize("ours", [gerum_penalty, nassar_penalty])
def test_a_power_law_has_no_spectral_penalty(ours):
    variances = torch.arange(1, 33, dtype=torch.float64) ** -2.0
    assert float(ours(variances, 2.0)) < 1e-4 < float(ours(variances, 1.0))


@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.0])
def test_gerums_penalty_alone_brings_a_linear_layer_to_its_exponent(exponent):
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(32, 32, generator=generator).div_(6).requires_grad_()
    optimizer = torch.optim.Adam([weights], lr=0.01)
    for _ in range(300):
        features = torch.randn(256, 32, generator=generator) @ weights
        axes = torch.linalg.eigh(weights.detach().T @ weights.detach())[1].flip(1)
        loss = gerum_penalty((features @ axes).var(dim=0).sort(descending=True).values, exponent)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    values = torch.linalg.svdvals(weights.detach()).square()[:10].log10().numpy()
    rank = np.arange(1, 11)
    slope = np.polyfit(np.log10(rank), values, 1, w=np.sqrt(np.log10((rank + 1) / rank)))[0]
    assert slope == pytest.approx(-exponent, abs=0.05)
