"""Sweeps of noise and of transferred gradient signs over 41 strengths, pure inference, and the published loop."""

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from benchmarks.timing import Time, now
from benchmarks.victims import Victim
from benchmarks.workload import CLASSES
from robustbench_pix.attacks.base import TensorCache
from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.noise import DRAWS
from robustbench_pix.catalogue.specs import AttackSpec, EvaluationSpec
from robustbench_pix.devices import arithmetic
from robustbench_pix.evaluation.batch import AttackSetting
from robustbench_pix.evaluation.evaluate import evaluate
from robustbench_pix.evaluation.judging import judge_batch

STRENGTHS = tuple(step / 100 for step in range(11))
"""Of each of the four sweeps; the first is 0, the clean accuracy, which all of them share: 41 different ones."""

SWEEPS = {
    "gaussian-noise": ("none", "sigma"),
    "uniform-noise": ("none", "half-width"),
    "salt-and-pepper-noise": ("none", "probability"),
    "fast-gradient-sign": ("transfer", "linf"),
}
DIFFERENT_STRENGTHS = 1 + len(SWEEPS) * (len(STRENGTHS) - 1)
MEMORY_BYTES = 2**27


class Sweeps:
    """The four sweeps of a model as a run does them, one attack after the other, tables included."""

    def __init__(self, victim: Victim, source: Victim) -> None:
        self.victim, self.source = victim, source
        self.memory = TensorCache(MEMORY_BYTES)

    def of_the_first_model(self) -> list[Time]:
        """Return the time where draws of noise and signs of gradients have to be made."""
        self.memory = TensorCache(MEMORY_BYTES)
        for draws in DRAWS.values():
            draws.kept.clear()
        return self.of_another_model()

    def of_another_model(self) -> list[Time]:
        """Return the time where they are still there from the model before."""
        victim = self.victim
        begun = now(victim.device)
        for name, (access, strength) in SWEEPS.items():
            attack = build_attack(
                AttackSpec(name=name, path=Path(), summary="", attack=name, access=access, strength=strength)
            )
            evaluate(
                victim.asked,
                self.source.network if access == "transfer" else None,
                attack,
                victim.images,
                victim.labels,
                AttackSetting("benchmark", "strict", access, strength, STRENGTHS, EvaluationSpec(), CLASSES),
                device=victim.device,
                source_cache=self.memory if access == "transfer" else None,
            )
        return [now(victim.device) - begun]


@torch.inference_mode()
def pure_inference(victim: Victim, network: nn.Module) -> list[Time]:
    """Return the time of 41 forward passes of all images in float32, in batches as large as the harness judges."""
    size = judge_batch(victim.device, victim.images.shape[1:].numel())
    with arithmetic("float32"):
        begun = now(victim.device)
        for _ in range(DIFFERENT_STRENGTHS):
            for batch in victim.images.split(size):
                network(batch)
        return [now(victim.device) - begun]


def published(victim: Victim, source: Victim) -> list[Time]:
    """Return the time of the published way, written plainly.

    Noise is drawn anew for every strength and clamped image by image; the gradient is that of one image at a time, once
    more for every strength; the model is asked in batches of 64.
    """
    begun = now(victim.device)
    with arithmetic("float32"):
        for strength in STRENGTHS:
            for draw in (_gaussian, _uniform, _salt_and_pepper):
                noisy = victim.images + draw(victim.images, strength)
                pairs = zip(noisy, victim.images, strict=True)
                _ask(victim, torch.stack([one.clamp(image.min(), image.max()) for one, image in pairs]))
            moved = []
            for image, label in zip(victim.images.split(1), victim.labels.split(1), strict=True):
                leaf = image.clone().requires_grad_()
                functional.cross_entropy(source.network(leaf), label).backward()
                assert leaf.grad is not None
                moved.append((image + strength * leaf.grad.sign()).clamp(0, 1))
            _ask(victim, torch.cat(moved))
    return [now(victim.device) - begun]


@torch.no_grad()
def _ask(victim: Victim, images: torch.Tensor) -> int:
    right = 0
    for batch, labels in zip(images.split(64), victim.labels.split(64), strict=True):
        right += (victim.network(batch).argmax(dim=1) == labels).sum().item()
    return right


def _gaussian(images: torch.Tensor, strength: float) -> torch.Tensor:
    return strength * torch.randn_like(images)


def _uniform(images: torch.Tensor, strength: float) -> torch.Tensor:
    return strength * (2 * torch.rand_like(images) - 1)


def _salt_and_pepper(images: torch.Tensor, strength: float) -> torch.Tensor:
    return torch.sign(torch.rand_like(images) - 0.5) * (torch.rand_like(images) < strength)
