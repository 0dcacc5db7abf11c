"""Source models of transfer attacks: one or several, and what they are asked is nobody's query."""

import pytest
import torch
from torch.nn import functional

from robustbench_pix.attacks.gradient.projected_gradient import FastGradientSign
from robustbench_pix.attacks.querying.oracle import guarded
from robustbench_pix.errors import JobFailedError
from robustbench_pix.networks.building import ensemble
from tests.attacks.toys import (
    Counting,
    Halfspace,
    QuadraticClassifier,
    blind,
    decisions_of,
    entry,
    gray_images,
    keys_of,
    run_entry,
    some_images,
    tiny_network,
)


def gradient(network, images, labels):
    inputs = images.clone().requires_grad_()
    functional.cross_entropy(network(inputs), labels, reduction="sum").backward()
    return inputs.grad


def test_one_source_is_itself():
    network = tiny_network()
    assert ensemble([network]) is network


def test_the_gradient_of_an_ensemble_is_that_of_the_mean_of_the_logits():
    """By the chain rule: (softmax of the mean logits - one-hot) through each network, divided by their number."""
    networks, images, labels = [tiny_network(seed) for seed in range(3)], some_images(7), torch.arange(7) % 4
    with torch.no_grad():
        mean = sum(network(images) for network in networks) / 3
    pull = mean.softmax(dim=1) - functional.one_hot(labels, 4)
    expected = torch.zeros_like(images)
    for network in networks:
        inputs = images.clone().requires_grad_()
        expected += torch.autograd.grad(network(inputs), inputs, pull)[0] / 3
    together = ensemble(networks)
    torch.testing.assert_close(together(images), mean)
    torch.testing.assert_close(gradient(together, images, labels), expected, atol=1e-7, rtol=1e-4)
    losses = sum(gradient(network, images, labels) for network in networks) / 3
    assert (losses - expected).abs().max() > 100 * 1e-7, "the mean of the losses has another gradient"


def test_fgsm_from_linear_sources_goes_along_the_sign_of_their_mean_weight():
    sources, images = [Halfspace(seed) for seed in (1, 2, 3)], gray_images(5)
    labels = torch.tensor([0, 1, 0, 1, 1])
    mean = sum(source.weight.detach() for source in sources) / 3
    away = torch.where(labels == 1, -1, 1)[:, None] * mean.sign()
    target = blind(source=ensemble(sources))
    found = list(FastGradientSign().perturb(target, images, labels, (0.0, 0.3), keys_of(5)))
    assert torch.equal(found[0], images)
    torch.testing.assert_close(found[1], images + 0.3 * away.reshape(images.shape), atol=1e-6, rtol=0)
    assert all(not torch.equal(mean.sign(), source.weight.sign()) for source in sources)


@pytest.mark.parametrize("sources", [1, 2])
@pytest.mark.parametrize(
    "attack",
    [
        "fast-gradient-sign",
        "boundary",
        "foolbox:LinfFastGradientAttack",
        "foolbox:LinfDeepFoolAttack",
        "art:FastGradientMethod",
        "art:DeepFool",
    ],
)
def test_queries_of_a_source_are_not_queries_of_the_victim(attack, sources):
    asked = [Counting(QuadraticClassifier(seed)) for seed in range(1, 1 + sources)]
    victim, images = Counting(QuadraticClassifier(seed=9)), gray_images(3)
    labels = decisions_of(asked[0].network, images)
    strength = "l2" if attack in ("boundary", "art:DeepFool") else "linf"
    spec = entry(attack, "transfer", strength, **({"steps": 5} if attack == "boundary" else {}))
    found = run_entry(spec, victim, images, labels, ensemble(asked))
    assert (found["queries"] == 0).all()
    assert all(source.asked >= len(images) for source in asked)
    minimal = attack in ("boundary", "foolbox:LinfDeepFoolAttack", "art:DeepFool")
    seen = found["distance_at_10000"] < float("inf") if minimal else found["found_at"] > 0
    assert not seen.any(), "the log saw nothing"


def test_an_ensemble_is_guarded_as_a_whole():
    networks = [tiny_network(seed).train() for seed in range(2)]
    before = [value.clone() for network in networks for value in network.state_dict().values()]
    with guarded(ensemble(networks)):
        assert not any(network.training for network in networks)
        ensemble(networks)(some_images(3))
    after = [value for network in networks for value in network.state_dict().values()]
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))
    refused = pytest.raises(JobFailedError, match=r"changed the model \(networks\.1\.linear\.bias\)")
    with refused, guarded(ensemble(networks)):
        networks[1].linear.bias.zero_()
    assert networks[1].linear.bias.any()
