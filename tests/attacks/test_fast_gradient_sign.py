import dataclasses

import foolbox
import pytest
import torch

from robustbench_pix.attacks.base import TensorCache
from robustbench_pix.attacks.gradient.projected_gradient import FastGradientSign
from robustbench_pix.evaluation.evaluate import evaluate
from tests.attacks.toys import (
    Counting,
    Halfspace,
    attacked,
    blind,
    case_of,
    decisions_of,
    entry,
    gray_images,
    keys_of,
    run_entry,
    some_images,
    tiny_network,
)

STRENGTHS = (0.0, 0.03, 0.3)


def perturbed(target, images, labels):
    return list(FastGradientSign().perturb(target, images, labels, STRENGTHS, keys_of(len(images))))


def test_equals_foolbox_on_the_source_model():
    source, images = tiny_network(), some_images(16)
    labels = torch.arange(16) % 4
    model = foolbox.PyTorchModel(source, bounds=(0, 1), device="cpu")
    results = perturbed(blind(source=source), images, labels)
    for strength, result in zip(STRENGTHS[1:], results[1:], strict=True):
        _, expected, _ = foolbox.attacks.LinfFastGradientAttack()(model, images, labels, epsilons=strength)
        torch.testing.assert_close(result, expected, atol=1e-6, rtol=0)
    assert torch.equal(results[0], images)


def test_a_batch_is_its_images_one_by_one():
    source, images = tiny_network(), some_images(8)
    labels = torch.arange(8) % 4
    together = perturbed(blind(source=source), images, labels)[2]
    for index in range(8):
        alone = perturbed(blind(source=source), images[index : index + 1], labels[index : index + 1])[2]
        torch.testing.assert_close(alone[0], together[index], atol=1e-6, rtol=0)


def test_the_gradient_is_the_source_models_and_the_attacked_model_is_not_asked():
    source, images = Halfspace(seed=1), gray_images(5)
    network = Counting(Halfspace(seed=2))
    labels = decisions_of(network.network, images)
    away = torch.where(labels == 1, -1, 1)[:, None] * source.weight.detach().sign()
    expected = images + 0.3 * away.reshape(images.shape)
    torch.testing.assert_close(perturbed(blind(source=source), images, labels)[2], expected, atol=1e-6, rtol=0)

    examples = run_entry(
        entry("fast-gradient-sign", "transfer", "linf"), network, images, labels, source, strengths=STRENGTHS
    )
    assert network.asked == 5 * len(STRENGTHS), "the clean decisions and the verdicts, nothing else"
    assert (examples["queries"] == 0).all()
    torch.testing.assert_close(
        torch.tensor(examples.loc[examples["strength"] == 0.3, "prediction"].to_numpy()).long(),
        decisions_of(network.network, expected),
    )


def test_l2_steps_along_the_unit_gradient():
    source, images = tiny_network(), some_images(16)
    labels = torch.arange(16) % 4
    model = foolbox.PyTorchModel(source, bounds=(0, 1), device="cpu")
    target = dataclasses.replace(blind(source=source), norm="l2")
    results = perturbed(target, images, labels)
    for strength, result in zip(STRENGTHS[1:], results[1:], strict=True):
        _, expected, _ = foolbox.attacks.L2FastGradientAttack()(model, images, labels, epsilons=strength)
        torch.testing.assert_close(result, expected, atol=1e-6, rtol=0)
    assert torch.equal(results[0], images)


def test_white_box_uses_the_attacked_model_and_counts_one_query_at_each_strength_above_0():
    network, images = Halfspace(), gray_images(4)
    labels = decisions_of(network, images)
    target, log = attacked(network, images, labels, "gradients", classes=2, norm="linf")
    results = perturbed(target, images, labels)
    step = torch.where(labels == 1, -0.3, 0.3)[:, None] * network.weight.detach().sign()
    torch.testing.assert_close(results[2], images + step.reshape(images.shape), atol=1e-6, rtol=0)
    assert log.queries.tolist() == [2, 2, 2, 2]


def test_signs_of_a_batch_are_those_of_its_images_one_by_one():
    source, images = tiny_network(), some_images(64)
    labels = torch.arange(64) % 4
    signs = torch.zeros_like(images)
    for index in range(64):
        one = images[index : index + 1].clone().requires_grad_()
        torch.nn.functional.cross_entropy(source(one), labels[index : index + 1]).backward()
        signs[index] = one.grad[0].sign()
    together = perturbed(blind(source=source), images, labels)[1] - images
    inside = (images > 0.03) & (images < 0.97)
    differ = (together.sign() != signs)[inside].float().mean().item()
    assert differ < 1e-3, "rounding may turn a sign where the gradient is next to nothing"


TRANSFER = case_of(entry("fast-gradient-sign", "transfer", "linf"), STRENGTHS)


def transferred(network, source, images, labels, memory, case=TRANSFER):
    return evaluate(network, source, FastGradientSign(), images, labels, case, device="cpu", source_cache=memory)


def test_the_sources_gradient_is_taken_once_for_all_attacked_models():
    source, images, labels = Counting(tiny_network(seed=1)), some_images(9), torch.arange(9) % 4
    memory = TensorCache(10_000)
    first, second = (transferred(tiny_network(seed), source, images, labels, memory) for seed in (2, 3))
    assert source.asked == 9
    assert not first["prediction"].equals(second["prediction"])
    for seed, kept in ((2, first), (3, second)):
        assert kept.equals(transferred(tiny_network(seed), source, images, labels, None))
    assert source.asked == 3 * 9


@pytest.mark.parametrize("changed", ["labels", "task", "seed", "which images", "norm"])
def test_signs_of_something_else_are_never_taken(changed):
    source, network = tiny_network(seed=1), tiny_network(seed=2)
    images, labels, memory, case = some_images(9), torch.arange(9) % 4, TensorCache(10_000), TRANSFER
    transferred(network, source, images, labels, memory)
    kept = len(memory.kept)
    if changed == "labels":
        labels = (labels + 1) % 4
    elif changed == "norm":
        case = dataclasses.replace(case, strength_kind="l2")
    elif changed == "seed":
        case = case_of(entry("fast-gradient-sign", "transfer", "linf"), STRENGTHS, seed=1)
    elif changed == "which images":
        case = case_of(entry("fast-gradient-sign", "transfer", "linf"), STRENGTHS, images_attacked=5)
    else:
        case = dataclasses.replace(case, task="other")
    found = transferred(network, source, images, labels, memory, case)
    assert found.equals(transferred(network, source, images, labels, None, case))
    assert len(memory.kept) == kept + 1


def test_the_white_box_keeps_nothing():
    images, labels, memory = some_images(4), torch.arange(4), TensorCache(10_000)
    case = case_of(entry("fast-gradient-sign", "gradients", "linf"), STRENGTHS, protocol="paper")
    for seed in (1, 2):
        network = tiny_network(seed)
        found = evaluate(network, None, FastGradientSign(), images, labels, case, device="cpu", source_cache=memory)
        target, _ = attacked(network, images, labels, "gradients", norm="linf")
        expected = decisions_of(network, perturbed(target, images, labels)[2])
        assert found.loc[found["strength"] == STRENGTHS[2], "prediction"].tolist() == expected.tolist()
        assert found.groupby("strength")["queries"].unique().map(list).tolist() == [[0], [1], [1]]
    assert not memory.kept
