"""Random noise in units of pixels in [0, 1], without access to the model: independent entries, or one frequency band.

Each image has one draw of its own, scaled to every strength: the same for every model, so that differences
between recipes are not differences of noise. (foolbox's noise, in contrast, has a fixed norm.)
"""

import math
from abc import abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from robustbench_pix.attacks.base import AttackContext, FixedStrengthAttack, TensorCache
from robustbench_pix.errors import JobFailedError
from robustbench_pix.randomness import ImageKeys

DRAWS = {"cpu": TensorCache(2**25), "elsewhere": TensorCache(2**30)}
"""The last draws, the same for every attacked model: up to 32 MB on a CPU and 1 GB on another device.

A draw takes 13 to 73 us an image (band noise three to five times as long), a cached one 1 to 6: a seventh of a sweep of
8x8 images on a CPU, one or two percent for larger images, and on a GPU (calculated) as long as the forward passes.
"""


class Noise(FixedStrengthAttack):
    """Base class: draws once an image, adds the noise of a strength, clamps."""

    purpose: ClassVar[str]

    @property
    def drawn_by(self) -> Hashable:
        """Cache key of the draws besides image and shape: the class, and the parameters that ``draw`` reads."""
        return type(self)

    @abstractmethod
    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return the draws for one image of this shape, float32 (draws, *shape)."""

    def noisy(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Return the noisy images (N, C, H, W) at a strength, not clamped, from draws (N, draws, C, H, W)."""
        return images + strength * draws[:, 0]

    def perturb(
        self, context: AttackContext, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: ImageKeys
    ) -> Iterator[Tensor]:
        """Yield the noisy images of each strength, clamped to [0, 1] or (protocol paper) to each image's own range."""
        draws = self._draws(images, keys)
        low, high = images.amin(dim=(1, 2, 3), keepdim=True), images.amax(dim=(1, 2, 3), keepdim=True)
        for strength in strengths:
            noisy = self.noisy(images, draws, strength)
            yield noisy.clamp(0, 1) if context.clamp == "unit" else noisy.clamp(low, high)

    def _draws(self, images: Tensor, keys: ImageKeys) -> Tensor:
        shape, device = tuple(images.shape[1:]), images.device
        cache = DRAWS["cpu" if device.type == "cpu" else "elsewhere"]

        def draw() -> Tensor:
            drawn = np.stack([self.draw(key.stream(self.purpose), shape) for key in keys])
            return torch.from_numpy(drawn).to(device)

        return cache.get_or_compute((self.drawn_by, tuple(keys), shape, device), draw)


class GaussianNoise(Noise):
    """x + sigma n, with n standard normal."""

    purpose = "gaussian-noise"

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw standard normal numbers."""
        return generator.standard_normal((1, *shape), dtype=np.float32)


class UniformNoise(Noise):
    """x + u, with u uniform in [-half-width, half-width]."""

    purpose = "uniform-noise"

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw uniform numbers in [-1, 1)."""
        return 2 * generator.random((1, *shape), dtype=np.float32) - 1


class SaltAndPepperNoise(Noise):
    """x + 1 or x - 1, a fair coin, at each channel entry with the given probability; elsewhere x.

    The entries changed at a small probability are changed at every larger one, with the same sign.
    """

    purpose = "salt-and-pepper-noise"

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw a threshold for each entry, and its sign."""
        hit = generator.random(shape, dtype=np.float32)
        sign = 2 * generator.integers(0, 2, shape).astype(np.float32) - 1
        return np.stack([hit, sign])

    def noisy(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Change the entries whose first draw is below the probability."""
        return images + draws[:, 1] * (draws[:, 0] < strength)


class LaplaceNoise(Noise):
    """x + sigma n, with n Laplace-distributed of variance 1, so that sigma is comparable with Gaussian noise."""

    purpose = "laplace-noise"

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw Laplace numbers of scale 1 / sqrt(2), whose variance is 1."""
        return generator.laplace(0, math.sqrt(0.5), (1, *shape)).astype(np.float32)


class SpeckleNoise(GaussianNoise):
    """x + sigma x n, with n standard normal (Hendrycks, Dietterich 2019, arXiv 1903.12261): none where x is 0."""

    purpose = "speckle-noise"

    def noisy(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Add sigma times image times draws."""
        return images + strength * (images * draws[:, 0])


class ShotNoise(Noise):
    """s^2 k, with k Poisson of mean x / s^2: the photons of an exposure that catches 1 / s^2 of them where x is 1.

    The mean is x and the variance x s^2: the strength s is the standard deviation where x is 1, before clamping.
    Hendrycks and Dietterich (2019, arXiv 1903.12261) call 1 / s^2 the constant c. One uniform number an entry serves
    all strengths: it selects the quantile of the Poisson distribution.
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
    """(1 - s) x + s u, with u uniform in [0, 1) and s the share of the noise, at most 1.

    As in foolbox's LinearSearchBlendedUniformNoiseAttack (Rauber, Brendel, Bethge 2017, arXiv 1707.04131).
    """

    purpose = "blended-uniform-noise"

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw uniform numbers in [0, 1)."""
        return generator.random((1, *shape), dtype=np.float32)

    def noisy(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Interpolate between the images and the draws."""
        return images + strength * (draws[:, 0] - images)


def poisson_quantile(shares: Tensor, means: Tensor) -> Tensor:
    """Return the smallest counts k with P(Poisson(mean) <= k) >= share, float64 of the same shape.

    To the power 2/3 a Poisson number is nearly normal (Anscombe 1953), with standard deviation 2/3 mean^(1/6). For
    shares from 2^-25 to 1 - 2^-25 the quantile lies above this approximation less 0.84 and below it plus 1.14, for all
    means: two candidates remain, and one value of the distribution function decides.

    Args:
        shares: in [2^-25, 1 - 2^-25], float64.
        means: of at least 0, float64.

    >>> poisson_quantile(torch.tensor([0.01, 0.5, 0.99]).double(), torch.tensor([4.0, 4.0, 4.0]).double()).tolist()
    [0.0, 4.0, 9.0]
    """
    root = means.pow(1 / 6)
    guess = (root.pow(4) + 2 / 3 * root * torch.special.ndtri(shares)).clamp(min=0).pow(1.5)
    lower = (guess - 0.85).ceil()
    return lower + (torch.special.gammaincc(lower + 1, means) < shares)


class BandNoise(Noise):
    """x + s n, with n white Gaussian noise restricted to the radial frequencies in (low, high].

    Frequencies are shares of the Nyquist frequency, half a cycle a pixel: along an axis they reach 1, in the corners of
    the spectrum sqrt(2). Frequency 0, the mean of a channel, is in no band. n is scaled to a root mean square of 1 over
    all entries of the image, whatever the band: at one strength bands have the same energy before clamping. All bands
    of an image are cut out of the same white noise. Networks differ in the frequencies to which they are sensitive (Yin
    et al. 2019, arXiv 1906.08988), and robust ones rely on low ones (Li et al. 2023, PLOS Comput. Biol. 19, e1010932).

    Args:
        low: at least 0.
        high: above low.

    Raises:
        ValueError: low and high are not a band.
    """

    purpose = "band-noise"

    def __init__(self, low: float, high: float) -> None:
        if not 0 <= low < high:
            raise ValueError(f"low must be at least 0 and high above it (got {low!r} and {high!r})")
        self.low, self.high = low, high

    @property
    def drawn_by(self) -> Hashable:
        """The class and the band."""
        return type(self), self.low, self.high

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw standard normal numbers, keep the band, and scale the result.

        Raises:
            JobFailedError: images of this size have no frequency in the band.
        """
        height, width = shape[-2:]
        radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)) / 0.5
        kept = (radius > self.low) & (radius <= self.high)
        if not kept.any():
            raise JobFailedError(f"images of {height}x{width} pixels have no frequency in ({self.low}, {self.high}]")
        spectrum = np.fft.rfft2(generator.standard_normal((1, *shape)))
        noise = np.fft.irfft2(spectrum * kept, s=(height, width))
        return (noise / np.sqrt(np.mean(noise**2))).astype(np.float32)
