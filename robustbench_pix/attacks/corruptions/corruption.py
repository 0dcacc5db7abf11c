"""A corruption of CIFAR-10-C by its name, at severities 0 (the image) to 5; no access to the model."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from torch import Tensor

from robustbench_pix.attacks.base import FixedStrengthAttack, ImageKey, Target
from robustbench_pix.attacks.corruptions import blur, digital, noise, published, weather
from robustbench_pix.attacks.corruptions.draws import Draws
from robustbench_pix.errors import JobFailedError, nearest

CORRUPTIONS: dict[str, Callable[[Tensor, int, Draws], Tensor]] = {
    "gaussian-noise": noise.gaussian_noise,
    "shot-noise": noise.shot_noise,
    "impulse-noise": noise.impulse_noise,
    "defocus-blur": blur.defocus_blur,
    "glass-blur": blur.glass_blur,
    "motion-blur": blur.motion_blur,
    "zoom-blur": blur.zoom_blur,
    "snow": weather.snow,
    "frost": weather.frost,
    "fog": weather.fog,
    "brightness": weather.brightness,
    "contrast": digital.contrast,
    "elastic-transform": digital.elastic_transform,
    "pixelate": digital.pixelate,
    "jpeg-compression": digital.jpeg_compression,
}
"""Each takes images float32 (N, C, H, W) in [0, 1], a severity from 1 to 5 and draws; the caller clamps the result."""

SEVERITIES = range(published.SEVERITIES + 1)


class Corruption(FixedStrengthAttack):
    """Hendrycks and Dietterich 2019, arXiv 1903.12261, with the numbers for CIFAR-10; the same draws at all severities.

    On CIFAR-10 the images are read from CIFAR-10-C's own file instead, where the user has it. What is made here is not
    cut to 8 bits.

    Args:
        name: one of ``CORRUPTIONS``.

    Raises:
        ValueError: it is none of them.
    """

    def __init__(self, name: str) -> None:
        if name not in CORRUPTIONS:
            raise ValueError(f"name {name!r} is no corruption of CIFAR-10-C.{nearest(str(name), CORRUPTIONS)}")
        self.name = name

    def find_file(self, dataset: str, test_labels: Tensor, data_root: Path) -> Path | None:
        """Return CIFAR-10-C's file of this corruption, for CIFAR-10 and where it is there; see ``published.find``."""
        return published.find(self.name, test_labels, data_root) if dataset == "cifar10" else None

    def perturb(
        self, target: Target, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: Sequence[ImageKey]
    ) -> Iterator[Tensor]:
        """Yield the images at each severity, in [0, 1].

        Raises:
            JobFailedError: a strength is no severity.
        """
        draws = self.draws(keys, images)
        for strength in strengths:
            if strength not in SEVERITIES:
                raise JobFailedError(f"severities are 0, 1, 2, 3, 4 and 5 (got {strength:g})")
            yield self.corrupted(images, int(strength), draws) if strength else images

    def draws(self, keys: Sequence[ImageKey], images: Tensor) -> Draws:
        """Return the random numbers of this corruption for images."""
        return Draws(keys, f"corruption-{self.name}", images.device)

    def corrupted(self, images: Tensor, severity: int, draws: Draws) -> Tensor:
        """Return images (N, C, H, W) at a severity from 1 to 5, in [0, 1]."""
        if self.file is not None:
            return published.read(self.file, severity, draws.indices, like=images)
        return CORRUPTIONS[self.name](images, severity, draws).clamp(0, 1)
