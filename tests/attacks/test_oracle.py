"""What an attacker sees of a model."""

import pytest
import torch

from robustbench_pix.attacks.building import build_attack
from robustbench_pix.errors import JobFailedError, UserError
from tests.attacks.toys import (
    Quadrants,
    attacked,
    blind,
    decisions_of,
    entry,
    run_entry,
    some_images,
    tiny_network,
)

BLACK_BOX = ["decisions", "scores"]


def test_decisions_are_one_hot_rows_without_gradient():
    network, images = Quadrants(), some_images(6)
    oracle = attacked(network, images, decisions_of(network, images))[0].oracle
    seen = oracle(images)
    assert torch.equal(seen, torch.eye(4)[decisions_of(network, images)])
    assert not seen.requires_grad


def test_scores_are_logits_without_gradient_and_gradients_have_one():
    network, images = Quadrants(), some_images(6)
    for access, wanted in (("scores", False), ("gradients", True)):
        oracle = attacked(network, images, decisions_of(network, images), access)[0].oracle
        seen = oracle(images)
        torch.testing.assert_close(seen.detach(), network(images).detach())
        assert seen.requires_grad == wanted


@pytest.mark.parametrize("access", BLACK_BOX)
def test_asking_for_a_gradient_is_refused_with_a_sentence(access):
    network, images = Quadrants(), some_images(2)
    oracle = attacked(network, images, decisions_of(network, images), access)[0].oracle
    with pytest.raises(JobFailedError, match=f'requests gradients, which access = "{access}" does not show'):
        oracle(images.clone().requires_grad_())
    with torch.no_grad():
        oracle(images.clone().requires_grad_())


@pytest.mark.parametrize("access", BLACK_BOX)
@pytest.mark.parametrize(
    "attack",
    [
        "fast-gradient-sign",
        "foolbox:LinfPGD",
        "foolbox:L2CarliniWagnerAttack",
        "foolbox:EADAttack",
        "foolbox:L2DeepFoolAttack",
        "art:FastGradientMethod",
        "art:CarliniL2Method",
    ],
)
def test_no_gradient_attack_works_in_a_black_box(access, attack):
    """Nor would it if building did not refuse the entry."""
    strength = "l2" if "L2" in attack else "linf"
    with pytest.raises(UserError, match='needs access = "gradients" or more'):
        build_attack(entry(attack, access, strength))
    built = build_attack(entry(attack, "gradients", strength))
    with pytest.raises(JobFailedError, match="requests gradients"):
        run_entry(entry(attack, access, strength), Quadrants(), some_images(2), attack=built)


def test_access_none_shows_no_model():
    with pytest.raises(JobFailedError, match="this attack needs a model; set access to"):
        _ = blind().model
    with pytest.raises(UserError, match='needs access = "decisions" or more; "none" shows less'):
        build_attack(entry("foolbox:BoundaryAttack", "none"))


def test_float64_is_cast():
    network, images = tiny_network(), some_images(2)
    target, log = attacked(network, images, decisions_of(network, images), "scores")
    assert target.oracle(images.double()).dtype == torch.float32
    assert log.best.dtype == torch.float32


def test_the_oracle_stays_in_eval_mode():
    network, images = tiny_network(), some_images(2)
    oracle = attacked(network, images, decisions_of(network, images))[0].oracle
    oracle.train()
    assert not oracle.training
    assert not network.training
