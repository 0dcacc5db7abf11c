"""Gaussian noise of one frequency band.

Yin, Gontijo Lopes, Shlens, Cubuk and Gilmer (2019, arXiv 1906.08988) find that networks differ in the frequencies to
which they are sensitive, Li et al. (2023, PLOS Computational Biology 19, e1010932) that robust ones rely on low ones.
"""

from collections.abc import Hashable

import numpy as np

from robustbench_pix.attacks.noise.pixel_noise import Noise
from robustbench_pix.errors import JobFailedError


class BandNoise(Noise):
    """x + s n, with n white Gaussian noise restricted to the radial frequencies in (low, high].

    Frequencies are shares of the Nyquist frequency, half a cycle a pixel: along an axis they reach 1, in the corners of
    the spectrum sqrt(2). Frequency 0, the mean of a channel, is in no band. n is scaled to a root mean square of 1 over
    all entries of the image, whatever the band: at one strength bands have the same energy before clamping. All bands
    of an image are cut out of the same white noise.

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
