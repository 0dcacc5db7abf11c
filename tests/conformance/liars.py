"""Attacks that break one property each, and one that breaks none."""

import os
from pathlib import Path

import torch

from robustbench_pix.attacks.base import FixedStrengthAttack, MinimalDistanceAttack
from robustbench_pix.attacks.querying.oracle import BudgetSpentError


class Fixed(FixedStrengthAttack):
    """Brightens a little by a fixed pattern: honest."""

    def perturb(self, context, images, labels, strengths, keys):
        for strength in strengths:
            yield self.at(context, images, labels, strength)

    def at(self, context, images, labels, strength):
        return (images + 0.5 * strength).clamp(0, 1)


class Unrepeatable(Fixed):
    """Draws from the operating system."""

    def at(self, context, images, labels, strength):
        return (images + strength * int.from_bytes(os.urandom(6)) / 2**48).clamp(0, 1)


class BatchMean(Fixed):
    """Uses the mean of the batch."""

    def at(self, context, images, labels, strength):
        return (images + strength * images.mean()).clamp(0, 1)


class OutOfBounds(Fixed):
    """Leaves [0, 1]."""

    def at(self, context, images, labels, strength):
        return images - (images > 0.7) * (images + 0.01) * (strength > 0)


class OutOfBall(Fixed):
    """Leaves the ball by a hundredth."""

    def at(self, context, images, labels, strength):
        return images + 1.01 * strength * (0.5 - images).sign()


class Overspending(Fixed):
    """Takes the end of the budget for an error of its own."""

    def at(self, context, images, labels, strength):
        try:
            for _ in range(50):
                context.oracle(images)
        except BudgetSpentError:
            raise RuntimeError("no answer") from None
        return images


class Retraining(Fixed):
    """Lets BatchNorm see the images."""

    def at(self, context, images, labels, strength):
        context.oracle.network.train()
        context.oracle.network(images)
        context.oracle.network.eval()
        return images


class LeftInTraining(Fixed):
    """Leaves the model in training mode."""

    def at(self, context, images, labels, strength):
        context.oracle.network.training = True
        return images


class MakingRight(Fixed):
    """Goes to the center of the label's class."""

    def at(self, context, images, labels, strength):
        return context.source.network.centers[labels].reshape(images.shape) if strength else images


class Sinking(MinimalDistanceAttack):
    """Gives up the batch for one image that noise does not fool it about."""

    def minimize(self, context, images, labels, starts, keys):
        noise = 1 - images
        if (context.oracle(noise).argmax(dim=1) == labels).any():
            raise ValueError("no start for an image")
        return noise


class Endless(MinimalDistanceAttack):
    """Goes on until it finds something, and blames nobody."""

    def minimize(self, context, images, labels, starts, keys):
        made = images
        while (context.oracle(made).argmax(dim=1) == labels).any():
            made = 1 - images + 0.1 * torch.linspace(0, 1, 8)
        return made


class AtZero(Fixed):
    """Moves at strength 0."""

    def at(self, context, images, labels, strength):
        return images + 1e-7


class Drawing(Fixed):
    """Draws from torch's global state."""

    def at(self, context, images, labels, strength):
        return images + 0 * torch.rand(1)


class Writing(Fixed):
    """Leaves a file behind."""

    def at(self, context, images, labels, strength):
        Path("cache.npy").touch()
        return images


class Overwriting(Fixed):
    """Works in place."""

    def at(self, context, images, labels, strength):
        return images.add_(0.01 * (strength > 0))
