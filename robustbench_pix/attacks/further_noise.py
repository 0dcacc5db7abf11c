"""Noise with heavy tails, noise that grows with brightness, photon counts, and noise that takes an image's place.

As in ``noise``, one draw for each image serves all strengths.
"""

import math

import numpy as np
from torch import Tensor

from robustbench_pix.attacks.noise import Noise
from robustbench_pix.attacks.poisson import poisson_quantile


class LaplaceNoise(Noise):
    """x + sigma n, with n of a Laplace distribution of variance 1: sigma compares with that of Gaussian noise."""

    purpose = "laplace-noise"

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw Laplace numbers of scale 1 / sqrt(2), whose variance is 1."""
        return generator.laplace(0, math.sqrt(0.5), (1, *shape)).astype(np.float32)

    def noisy(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Add sigma times the draws."""
        return images + strength * draws[:, 0]


class SpeckleNoise(Noise):
    """x + sigma x n, with n standard normal (Hendrycks, Dietterich 2019, arXiv 1903.12261): none where x is 0."""

    purpose = "speckle-noise"

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw standard normal numbers."""
        return generator.standard_normal((1, *shape), dtype=np.float32)

    def noisy(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Add sigma times image times draws."""
        return images + strength * (images * draws[:, 0])


class ShotNoise(Noise):
    """s^2 k, with k Poisson of mean x / s^2: the photons of an exposure that catches 1 / s^2 of them where x is 1.

    Its mean is x and its variance x s^2: the strength s is the standard deviation where x is 1, before clamping.
    Hendrycks and Dietterich (2019, arXiv 1903.12261) call 1 / s^2 the constant c. One uniform number for each entry
    serves all strengths: it decides which quantile of the Poisson distribution is taken.
    """

    purpose = "shot-noise"

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw uniform numbers in [0, 1), multiples of 2^-24."""
        return generator.random((1, *shape), dtype=np.float32)

    def noisy(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Count photons, in float64, each draw standing for the middle of its 2^-24."""
        if strength == 0:
            return images
        photon = strength**2
        counts = poisson_quantile(draws[:, 0].double() + 2**-25, images.double() / photon)
        return (photon * counts).to(images.dtype)


class BlendedUniformNoise(Noise):
    """(1 - s) x + s u, with u uniform in [0, 1) and s the share of the noise, at most 1: then nothing of x is left.

    So blends the attack LinearSearchBlendedUniformNoise of foolbox (Rauber, Brendel, Bethge 2017, arXiv 1707.04131).
    """

    purpose = "blended-uniform-noise"

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw uniform numbers in [0, 1)."""
        return generator.random((1, *shape), dtype=np.float32)

    def noisy(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Go the share of the way from the images to the draws."""
        return images + strength * (draws[:, 0] - images)
