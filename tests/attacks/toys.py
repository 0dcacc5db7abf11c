"""Models small enough to know the answer, and what an attack is run with."""

from pathlib import Path

import torch
from torch import nn

from robustbench_pix.attacks.base import AttackContext
from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.querying.oracle import Oracle
from robustbench_pix.attacks.querying.query_log import QueryLog
from robustbench_pix.catalogue.specs import AttackSpec, EvaluationSpec
from robustbench_pix.evaluation.batch import AttackSetting
from robustbench_pix.evaluation.evaluate import evaluate
from robustbench_pix.networks.building import build_network
from robustbench_pix.randomness import ImageKey

SIDE = 8


class Halfspace(nn.Module):
    """Logits (0, w.x + b): the distance of x to the other class is |w.x + b| / ||w||; that of mid gray is given."""

    def __init__(self, seed=0, distance=0.0):
        super().__init__()
        normal = torch.randn(SIDE * SIDE, generator=torch.Generator().manual_seed(seed))
        self.weight = nn.Parameter(normal)
        self.bias = nn.Parameter(distance * normal.norm() - 0.5 * normal.sum())

    def margin(self, images):
        return images.flatten(1) @ self.weight + self.bias

    def forward(self, images):
        margin = self.margin(images)
        return torch.stack([torch.zeros_like(margin), margin], dim=1)

    @torch.no_grad()
    def distances(self, images):
        return self.margin(images).abs() / self.weight.norm()


class Quadrants(nn.Module):
    """Four classes: which quadrant of the image is the brightest."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(20.0))

    def forward(self, images):
        return self.scale * nn.functional.avg_pool2d(images.mean(dim=1, keepdim=True), SIDE // 2).flatten(1)


class QuadraticClassifier(nn.Module):
    """Four classes, each a center and a steepness: curved boundaries, and the same bits whatever the batch."""

    def __init__(self, seed=0, side=SIDE):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.centers = nn.Parameter(0.3 + 0.4 * torch.rand(4, side * side, generator=generator))
        self.steepness = nn.Parameter(0.9 + 0.2 * torch.rand(4, generator=generator))

    def forward(self, images):
        return -self.steepness * (images.flatten(1)[:, None] - self.centers).square().sum(dim=2)


class Counting(nn.Module):
    """A model that counts the images it was asked about."""

    def __init__(self, network):
        super().__init__()
        self.network, self.asked = network, 0

    def forward(self, images):
        self.asked += len(images)
        return self.network(images)


def some_images(count, seed=0, channels=1):
    return torch.rand(count, channels, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def gray_images(count, seed=0):
    """Images around 0.5, so that no small perturbation leaves [0, 1]."""
    return 0.5 + 0.1 * (some_images(count, seed) - 0.5)


def tiny_network(seed=0, channels=1):
    network = build_network("small", None, {"width": 3}, channels=channels, classes=4, seed=seed)
    return network.eval().requires_grad_(False)


def decisions_of(network, images):
    with torch.no_grad():
        return network(images).argmax(dim=1)


def keys_of(count, **changed):
    fields = {"task": "toy", "repetition": 0, "seed": 0} | changed
    return [ImageKey(index=index, **fields) for index in range(count)]


FIRST = ImageKey("toy", 0, 0, 0)


def attacked(network, images, labels, access="decisions", **changed):
    """Return an attack context and its query log."""
    log = QueryLog(images, labels)
    oracle = Oracle(network, access, log)
    fields = {"oracle": oracle, "source": None, "classes": 4, "norm": "l2", "clamp": "unit", "batch": FIRST}
    return AttackContext(**(fields | changed)), log


def blind(clamp="unit", source=None):
    """Return an attack context that shows nothing of the attacked model."""
    return AttackContext(oracle=None, source=source, classes=4, norm="linf", clamp=clamp, batch=FIRST)


def entry(attack, access="decisions", strength="l2", /, **parameters):
    return AttackSpec(
        name="toy",
        path=Path("toy.toml"),
        summary="",
        attack=attack,
        access=access,
        strength=strength,
        parameters=parameters,
    )


def case_of(spec, strengths=(0.0, 0.1), protocol="strict", classes=4, images_attacked=None, **evaluation):
    evaluation = evaluation | {"images": images_attacked}
    return AttackSetting("toy", protocol, spec.access, spec.strength, strengths, EvaluationSpec(**evaluation), classes)


def run_entry(spec, network, images, labels=None, source=None, attack=None, progress=lambda done: None, **case):
    """Return the examples of an entry, or of an attack given in its place."""
    labels = decisions_of(network, images) if labels is None else labels
    built = build_attack(spec) if attack is None else attack
    return evaluate(network, source, built, images, labels, case_of(spec, **case), device="cpu", progress=progress)
