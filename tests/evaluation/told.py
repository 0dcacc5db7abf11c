"""Attacks that return what a test tells them to, on six images whose classes are known."""

import torch

from robustbench_pix.attacks.base import FixedStrengthAttack, MinimalDistanceAttack
from tests.attacks.toys import Quadrants, decisions_of, entry, gray_images, run_entry

IMAGES = gray_images(6)
LABELS = decisions_of(Quadrants(), IMAGES)
STRENGTHS = (0.0, 0.05, 0.4)

WRONG = LABELS.clone()
WRONG[[1, 4]] = (WRONG[[1, 4]] + 1) % 4
MISTAKEN = [False, True, False, False, True, False]


class Fixed(FixedStrengthAttack):
    """Returns at each strength what a function makes of the images."""

    def __init__(self, make):
        self.make, self.given = make, []

    def perturb(self, context, images, labels, strengths, keys):
        self.given.append((images.clone(), labels.clone(), [key.index for key in keys], context))
        for strength in strengths:
            yield self.make(images, strength)


class Minimal(MinimalDistanceAttack):
    """Returns what a function makes of the images."""

    def __init__(self, make, needs_starts=False):
        self.make, self.needs_starts, self.given = make, needs_starts, []

    def minimize(self, context, images, labels, starts, keys):
        self.given.append((images.clone(), labels.clone(), [key.index for key in keys], context))
        return self.make(images)


def run_fixed(make, access="none", kind="sigma", labels=LABELS, images=IMAGES, network=None, **case):
    attack = make if isinstance(make, FixedStrengthAttack) else Fixed(make)
    case = {"strengths": STRENGTHS} | case
    return run_entry(entry("x", access, kind), network or Quadrants(), images, labels, attack=attack, **case)


def run_minimal(make, access="decisions", labels=LABELS, images=IMAGES, network=None, kind="l2", **case):
    attack = make if isinstance(make, MinimalDistanceAttack) else Minimal(make)
    return run_entry(entry("x", access, kind), network or Quadrants(), images, labels, attack=attack, **case)


def inverted(images, strength=None):
    return 1 - images


def nan(images, strength=None):
    return torch.full_like(images, torch.nan)


def out_of_bounds(images, strength=None):
    return 1 - images + 2 * (images == images.flatten(1).amax(dim=1)[:, None, None, None])


def unchanged(images, strength=None):
    return images
