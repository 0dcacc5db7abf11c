"""Through its adapter a library's attack finds, from the same random state, what it finds when called directly."""

import art.attacks.evasion as art
import foolbox
import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from robustbench_pix.attacks.building import build_attack
from robustbench_pix.randomness import global_streams
from tests.attacks.toys import attacked, decisions_of, entry, keys_of, some_images, tiny_network

NETWORK, IMAGES = tiny_network(), some_images(3)
LABELS, KEYS = decisions_of(NETWORK, IMAGES), keys_of(3)


@pytest.mark.parametrize(
    ("name", "strength", "parameters"),
    [
        ("L2PGD", "l2", {"steps": 3}),
        ("LinfBasicIterativeAttack", "linf", {"steps": 3}),
        ("MIFGSM", "linf", {"steps": 3}),
        ("L1FastGradientAttack", "l1", {}),
        ("L2ClippingAwareAdditiveGaussianNoiseAttack", "l2", {}),
        ("L2CarliniWagnerAttack", "l2", {"steps": 5, "binary_search_steps": 2}),
        ("DDNAttack", "l2", {"steps": 5}),
        ("LinfDeepFoolAttack", "linf", {}),
        ("SaltAndPepperNoiseAttack", "l2", {"steps": 50}),
        ("LinearSearchBlendedUniformNoiseAttack", "l2", {"steps": 20}),
        ("InversionAttack", "l2", {}),
    ],
)
def test_foolbox(name, strength, parameters):
    attack = build_attack(entry(f"foolbox:{name}", "gradients", strength, **parameters))
    direct = getattr(foolbox.attacks, name)(**parameters)
    model = foolbox.PyTorchModel(NETWORK, bounds=(0, 1), device="cpu")
    target, _ = attacked(NETWORK, IMAGES, LABELS, "gradients")
    fixed = hasattr(attack, "perturb")
    if fixed:
        found = next(attack.perturb(target, IMAGES, LABELS, (0.2,), KEYS))
    else:
        found = attack.minimize(target, IMAGES, LABELS, None, KEYS)
    with global_streams("foolbox", 0, "toy", 0, 0):
        raw, clipped, _ = direct(model, IMAGES, LABELS, epsilons=0.2 if fixed else None)
    assert torch.equal(found, clipped if fixed else raw)
    assert not torch.equal(found, IMAGES)


@pytest.mark.parametrize(
    ("name", "strength", "parameters", "stated"),
    [
        ("ProjectedGradientDescent", "l2", {"max_iter": 3, "num_random_init": 1}, {"norm": 2, "eps": 0.2}),
        ("MomentumIterativeMethod", "linf", {"max_iter": 3}, {"norm": np.inf, "eps": 0.2}),
        ("AutoProjectedGradientDescent", "linf", {"max_iter": 3}, {"norm": np.inf, "eps": 0.2}),
        ("SquareAttack", "linf", {"max_iter": 20}, {"norm": np.inf, "eps": 0.2}),
        ("DeepFool", "l2", {"max_iter": 5}, {}),
        ("CarliniL2Method", "l2", {"max_iter": 5, "initial_const": 1.0}, {"targeted": False}),
        ("SignOPTAttack", "l2", {"query_limit": 100, "k": 5, "num_trial": 5}, {"targeted": False}),
    ],
)
def test_the_toolbox(name, strength, parameters, stated):
    attack = build_attack(entry(f"art:{name}", "gradients", strength, **parameters))
    one, label, key = IMAGES[:1], LABELS[:1], KEYS[0]
    target, _ = attacked(NETWORK, one, label, "gradients")
    if hasattr(attack, "perturb"):
        found = next(attack.perturb(target, one, label, (0.2,), [key]))
    else:
        found = attack.minimize(target, one, label, None, [key])

    class Single(nn.Module):
        def forward(self, images):
            return NETWORK(images.float())

    with global_streams("art", *key.parts):
        estimator = PyTorchClassifier(Single(), nn.CrossEntropyLoss(), one.shape[1:], 4, clip_values=(0.0, 1.0))
        direct = getattr(art, name)(estimator, verbose=False, **parameters, **stated)
        expected = direct.generate(one.numpy(), y=np.eye(4, dtype=np.float32)[label.numpy()])
    assert torch.equal(found, torch.from_numpy(np.float32(expected)))
    assert not torch.equal(found, one)


def test_the_toolbox_alone_cannot_ask_a_float32_model_and_through_the_adapter_it_can():
    start = some_images(60, seed=4)
    start = start[decisions_of(NETWORK, start) != LABELS[0]][:1]
    estimator = PyTorchClassifier(NETWORK, nn.CrossEntropyLoss(), IMAGES.shape[1:], 4, clip_values=(0.0, 1.0))
    alone = art.HopSkipJump(estimator, max_iter=2, verbose=False)
    with pytest.raises(RuntimeError, match=r"(?i)double"):
        alone.generate(IMAGES[:1].numpy(), x_adv_init=start.numpy())
    target, _ = attacked(NETWORK, IMAGES[:1], LABELS[:1])
    attack = build_attack(entry("art:HopSkipJump", max_iter=2))
    assert attack.minimize(target, IMAGES[:1], LABELS[:1], start, KEYS[:1]).dtype == torch.float32
