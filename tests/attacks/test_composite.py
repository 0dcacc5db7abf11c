import itertools
import math

import pytest
import torch
from torch.nn import functional
from torchvision.transforms.v2 import functional as torchvision_functional

from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.attacks.gradient import composite
from robustbench_pix.attacks.gradient.composite import OF_ALL, OF_COLOUR, CompositeAttack, CompositeState, components_of
from robustbench_pix.attacks.querying.oracle import Oracle
from robustbench_pix.errors import UserError
from tests.attacks.toys import (
    SIDE,
    Counting,
    Halfspace,
    QuadraticClassifier,
    attacked,
    blind,
    decisions_of,
    entry,
    gray_images,
    keys_of,
    run_entry,
    some_images,
    tiny_network,
)

ORDERS = ["fixed", "random", "scheduled"]
ROTATION, BRIGHTNESS, CONTRAST, NOISE = OF_ALL


def wavy(channels=1):
    """Return a network with weights so large that small changes of images change its decisions."""
    generator = torch.Generator().manual_seed(0)
    first, second = torch.nn.Linear(channels * SIDE * SIDE, 16), torch.nn.Linear(16, 4)
    for layer in (first, second):
        layer.weight.data = torch.randn(layer.weight.shape, generator=generator) * 2 / layer.in_features**0.5
        layer.bias.data.zero_()
    return torch.nn.Sequential(torch.nn.Flatten(), first, torch.nn.Tanh(), second).requires_grad_(False)


def perturbed(network, images, labels, strengths, keys=None, **parameters):
    target, log = attacked(network, images, labels, "gradients")
    keys = keys_of(len(images)) if keys is None else keys
    return list(CompositeAttack(**parameters).perturb(target, images, labels, strengths, keys)), log


def search(network, images, labels, scale=1.0, **parameters):
    target, _ = attacked(network, images, labels, "gradients")
    noise = PhiloxNoise(keys_of(len(images)), "composite", images.device)
    return CompositeState(CompositeAttack(**parameters), target.oracle, images, labels, scale, noise)


def only(monkeypatch, *components):
    monkeypatch.setattr(composite, "components_of", lambda channels: components)


@pytest.mark.parametrize("scale", [0.5, 1.0])
@pytest.mark.parametrize(("order", "queries"), [("fixed", 11), ("scheduled", 5 * 12)])
def test_on_a_linear_model_each_component_alone_ends_at_the_worst_end_of_its_range(monkeypatch, scale, order, queries):
    network = Halfspace(distance=1.5)  # Nothing fools it.
    images, labels = gray_images(8), torch.ones(8, dtype=torch.int64)
    weight = network.weight.detach().reshape(images.shape[1:])
    assert len(set(decisions_of(network, images).tolist())) == 1
    against = -weight.sum().sign()
    sign = torch.where((images * weight).sum(dim=(1, 2, 3), keepdim=True) > 0, -1, 1)
    worst = {
        BRIGHTNESS: images + 0.2 * scale * against,
        CONTRAST: images * (1 + 0.3 * scale * sign),
        NOISE: images - 8 / 255 * scale * weight.sign(),
    }
    for component, expected in worst.items():
        only(monkeypatch, component)
        (found,), log = perturbed(network, images, labels, (scale,), order=order)
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
        assert log.queries.tolist() == [queries] * 8


def plainly(image, components, offsets, limits, order, network, label, steps=10):
    """Attack one image by the definition, one component after the other; return it once it fools the network."""
    for number in order:
        offset = offsets[number].clone()
        for _ in range(steps):
            offset.requires_grad_()
            logits = network(components[number](image, offset))
            if logits.argmax() != label:
                return components[number](image, offset).detach()
            slope = torch.autograd.grad(functional.cross_entropy(logits, label[None]), offset)[0]
            offset = offset.detach() + 2.5 * limits[number] / steps * slope.sign()
            offset = offset.clamp(-limits[number], limits[number])
        image = components[number](image, offset).detach()
    return image


def turned(image, degrees):
    """Turn by a sampling grid of torch, for square images."""
    angle = degrees.deg2rad()
    rows = torch.cat([angle.cos(), -angle.sin(), 0 * angle]), torch.cat([angle.sin(), angle.cos(), 0 * angle])
    grid = functional.affine_grid(torch.stack(rows)[None], list(image.shape), align_corners=False)
    return functional.grid_sample(image, grid, align_corners=False)


@pytest.mark.parametrize("order", ["fixed", "random"])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_image_is_attacked_as_by_a_plain_loop_over_its_components(order, channels):
    network, images = wavy(channels), some_images(12, channels=channels)
    labels = decisions_of(network, images)
    searched = search(network, images, labels, 0.3, order=order)
    plain = [
        turned,
        lambda image, shift: (image + shift).clamp(0, 1),
        lambda image, more: (image * (1 + more)).clamp(0, 1),
        lambda image, noise: (image + noise).clamp(0, 1),
    ]
    limits = [3.0, 0.06, 0.09, 2.4 / 255]
    if channels == 3:
        plain = [components_of(3)[0].apply, components_of(3)[1].apply, *plain]
        limits = [0.3 * math.pi, 0.09, *limits]
    assert searched.limits == pytest.approx(limits)
    orders = searched.random_orders.tolist() if order == "random" else [list(range(len(plain)))] * 12
    expected = []
    for index in range(12):
        own = [offsets[index : index + 1].clone() for offsets in searched.offsets]
        image, label = images[index : index + 1], labels[index]
        expected.append(plainly(image, plain, own, limits, orders[index], network, label))
    searched.run()
    # A sign of a gradient that is next to nothing may turn by rounding.
    same = (searched.found - torch.cat(expected)).abs().amax(dim=(1, 2, 3)) < 1e-4
    assert same.sum() >= 11
    assert 0 < len(searched.rows) < 12, "some were fooled and some were not"
    assert (len({tuple(places) for places in orders}) == 1) == (order == "fixed")


def test_random_orders_are_all_equally_likely():
    images = some_images(600)
    labels = torch.zeros(600, dtype=torch.int64)
    orders = search(tiny_network(), images, labels, order="random").random_orders
    counts = [int((orders == torch.tensor(order)).all(dim=1).sum()) for order in itertools.permutations(range(4))]
    assert sum(counts) == 600
    assert 8 < min(counts) <= max(counts) < 50, "25 expected, standard deviation 5"


def test_starts_are_spread_over_the_ranges_and_offsets_stay_inside():
    network, images = wavy(3), some_images(100, channels=3)
    labels = decisions_of(network, images)
    searched = search(network, images, labels, scale=0.7, order="scheduled", rounds=2)
    for component, offsets, limit in zip(searched.components, searched.offsets, searched.limits, strict=True):
        assert limit == pytest.approx(0.7 * component.reach)
        if component.entrywise:
            assert not offsets.any()
        else:
            assert offsets.min() < -0.9 * limit
            assert offsets.max() > 0.9 * limit
            assert offsets.abs().max() <= limit
    searched.run()
    for offsets, limit in zip(searched.offsets, searched.limits, strict=True):
        assert 0 < offsets.abs().max() <= limit * (1 + 1e-6)


@pytest.mark.parametrize("order", ORDERS)
def test_strength_zero_asks_nothing_and_a_larger_one_ends_inside_bounds(order):
    network, images = QuadraticClassifier(), some_images(10)
    labels = decisions_of(network, images)
    (zero, one, three), _ = perturbed(network, images, labels, (0.0, 1.0, 3.0), order=order)
    assert torch.equal(zero, images)
    for found in (one, three):
        assert 0 <= found.min() <= found.max() <= 1
        assert (found != images).flatten(1).any(dim=1).all()
    _, log = perturbed(network, images, labels, (0.0,), order=order)
    assert not log.queries.any()


@pytest.mark.parametrize("order", ORDERS)
def test_neither_result_nor_queries_depend_on_the_batch(order):
    network, images, keys = QuadraticClassifier(), some_images(9), keys_of(9)
    labels = decisions_of(network, images)
    (together,), log = perturbed(network, images, labels, (1.0,), keys, order=order)
    fooled = decisions_of(network, together) != labels
    assert 0 < fooled.sum() < 9
    (backwards,), _ = perturbed(network, images.flip(0), labels.flip(0), (1.0,), keys[::-1], order=order)
    torch.testing.assert_close(backwards.flip(0), together, atol=1e-5, rtol=0)
    for index in range(9):
        one = slice(index, index + 1)
        (alone,), own = perturbed(network, images[one], labels[one], (1.0,), keys[one], order=order)
        torch.testing.assert_close(alone[0], together[index], atol=1e-5, rtol=0)
        assert own.queries[0] == log.queries[index]


@pytest.mark.parametrize(("order", "queries"), [("fixed", 4 * 7 + 1), ("random", 4 * 7 + 1), ("scheduled", 3 * 30)])
def test_queries_of_an_image_that_is_never_fooled(order, queries):
    network, images = Halfspace(distance=1.5), gray_images(5)
    labels = torch.ones(5, dtype=torch.int64)
    _, log = perturbed(network, images, labels, (1.0,), order=order, steps=7, rounds=3)
    assert log.queries.tolist() == [queries] * 5


@pytest.mark.parametrize("order", ORDERS)
def test_an_image_that_is_fooled_is_asked_about_no_more(order):
    network, images = Halfspace(distance=1.5), gray_images(5)
    wrong = torch.zeros(5, dtype=torch.int64)
    _, log = perturbed(network, images, wrong, (1.0,), order=order)
    assert log.queries.tolist() == [2 if order == "scheduled" else 1] * 5


def test_an_image_that_only_the_last_step_fools_is_noticed_before_the_next_round(monkeypatch):
    only(monkeypatch, NOISE)
    network, images = Halfspace(distance=0.1), gray_images(6)
    labels = torch.ones(6, dtype=torch.int64)
    assert torch.equal(decisions_of(network, images), labels)
    (found,), log = perturbed(network, images, labels, (4.0,), order="scheduled", steps=1)
    assert not decisions_of(network, found).any()
    assert log.queries.tolist() == [3] * 6


def test_more_orders_fool_more_images_and_all_that_are_fooled_are_wrong():
    network, images = wavy(), some_images(60)
    labels = decisions_of(network, images)
    fooled = {}
    for order in ORDERS:
        searched = search(network, images, labels, order=order)
        searched.run()
        wrong = decisions_of(network, searched.found) != labels
        stayed = torch.zeros(60, dtype=torch.bool).index_fill_(0, searched.rows, True)
        assert torch.equal(wrong, ~stayed)
        fooled[order] = int(wrong.sum())
    assert fooled["scheduled"] > max(fooled["fixed"], fooled["random"])


def test_every_round_of_a_schedule_tries_another_order():
    network, images = Halfspace(distance=1.5), gray_images(6)
    searched = search(network, images, torch.ones(6, dtype=torch.int64), order="scheduled")
    searched.run()
    assert searched.schedule.tried.max() == 1
    assert searched.schedule.tried.sum(dim=1).tolist() == [5] * 6


def test_slopes_of_a_relaxed_order_are_those_of_differences():
    network, images = wavy(3), some_images(3, channels=3)
    labels = (decisions_of(network, images) + 1) % 4
    searched = search(network, images, labels, order="scheduled")
    slopes, weights = searched._slopes(), searched.schedule.weights

    def losses():
        mixed = images.double()
        for place in range(6):
            parts = zip(searched.components, searched.offsets, strict=True)
            changed = [component.apply(mixed, offsets.double()) for component, offsets in parts]
            mixed = sum(weights[:, place, i, None, None, None].double() * part for i, part in enumerate(changed))
        return functional.cross_entropy(network.double()(mixed), labels, reduction="none")

    step = 1e-4
    searched.schedule.weights = weights = weights.double()
    for place, component in [(0, 0), (0, 5), (2, 3), (3, 2), (5, 1), (5, 4)]:
        weights[:, place, component] += step
        up = losses()
        weights[:, place, component] -= 2 * step
        down = losses()
        weights[:, place, component] += step
        expected = ((up - down) / (2 * step)).detach().float()
        torch.testing.assert_close(slopes[:, place, component], expected, atol=1e-3, rtol=0.02)


def test_gray_images_face_four_components_and_colourful_ones_six():
    assert components_of(1) == OF_ALL
    assert components_of(3) == OF_COLOUR + OF_ALL
    reaches = [component.reach for component in components_of(3)]
    assert reaches == pytest.approx([math.pi, 0.3, 10, 0.2, 0.3, 8 / 255])
    images = some_images(4, channels=3)
    nothing = torch.zeros(4)
    for component in components_of(3):
        offsets = torch.zeros_like(images) if component.entrywise else nothing
        torch.testing.assert_close(component.apply(images, offsets), images, atol=1e-5, rtol=0)
    turns = torchvision_functional.rotate(images, 10, torchvision_functional.InterpolationMode.BILINEAR)
    torch.testing.assert_close(ROTATION.apply(images, torch.full((4,), 10.0)), turns, atol=1e-5, rtol=0)


def test_a_source_model_is_attacked_in_place_of_the_attacked_one():
    source, network, images = wavy(), Counting(tiny_network()), some_images(20)
    labels = decisions_of(source, images)
    spec = entry("composite", "transfer", "scale")
    examples = run_entry(spec, network, images, labels, source, strengths=(0.0, 1.0))
    assert network.asked == 40
    assert not examples["queries"].any()
    target = blind(source=Oracle(source, "gradients", None))
    (found,) = CompositeAttack().perturb(target, images, labels, (1.0,), keys_of(20))
    (own,), _ = perturbed(source, images, labels, (1.0,))
    assert torch.equal(found, own)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"order": "sorted"}, "order must be one of fixed, random, scheduled"),
        ({"steps": 0}, "steps must be a whole number of at least 1"),
        ({"order": "scheduled", "rounds": 1.5}, "rounds must be a whole number of at least 1"),
    ],
)
def test_impossible_parameters_are_refused(parameters, said):
    with pytest.raises(UserError, match=said):
        build_attack(entry("composite", "gradients", "scale", **parameters))
