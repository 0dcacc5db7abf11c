import foolbox
import torch

from robustbench_pix.attacks.gradient_sign import FastGradientSign
from tests.attacks.toys import (
    Counting,
    Halfspace,
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
    assert network.asked == 5 * (1 + len(STRENGTHS)), "the clean decisions and the verdicts, nothing else"
    assert (examples["queries"] == 0).all()
    torch.testing.assert_close(
        torch.tensor(examples.loc[examples["strength"] == 0.3, "prediction"].to_numpy()).long(),
        decisions_of(network.network, expected),
    )


def test_white_box_uses_the_attacked_model_and_counts_one_query():
    network, images = Halfspace(), gray_images(4)
    labels = decisions_of(network, images)
    target, ledger = attacked(network, images, labels, "gradients", classes=2)
    results = perturbed(target, images, labels)
    step = torch.where(labels == 1, -0.3, 0.3)[:, None] * network.weight.detach().sign()
    torch.testing.assert_close(results[2], images + step.reshape(images.shape), atol=1e-6, rtol=0)
    assert ledger.queries.tolist() == [1, 1, 1, 1]
