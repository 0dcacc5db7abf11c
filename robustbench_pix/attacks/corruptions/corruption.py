"""A corruption of CIFAR-10-C by its name, at severities 0 (the image) to 5; no access to the model.

Where the user has CIFAR-10-C's own files, <data root>/CIFAR-10-C/fog.npy and so on with labels.npy, they are read. A
file is uint8 (50000, 32, 32, 3): the test images of CIFAR-10 in their order, at severity 1, then 2, up to 5.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from robustbench_pix.attacks.base import AttackContext, FixedStrengthAttack
from robustbench_pix.attacks.corruptions import noise_and_blur, weather_and_digital
from robustbench_pix.attacks.corruptions.filters import Draws
from robustbench_pix.data.base import in_colour
from robustbench_pix.errors import JobFailedError, UserError, nearest
from robustbench_pix.randomness import ImageKeys

_NOISES = noise_and_blur.gaussian_noise, noise_and_blur.shot_noise, noise_and_blur.impulse_noise
_BLURS = noise_and_blur.defocus_blur, noise_and_blur.glass_blur, noise_and_blur.motion_blur, noise_and_blur.zoom_blur
_WEATHER = weather_and_digital.snow, weather_and_digital.frost, weather_and_digital.fog, weather_and_digital.brightness
_DIGITAL = (
    *(weather_and_digital.contrast, weather_and_digital.elastic_transform),
    *(weather_and_digital.pixelate, weather_and_digital.jpeg_compression),
)

CORRUPTIONS: dict[str, Callable[[Tensor, int, Draws], Tensor]] = {
    one.__name__.replace("_", "-"): one for one in (*_NOISES, *_BLURS, *_WEATHER, *_DIGITAL)
}
"""Each takes images float32 (N, C, H, W) in [0, 1], a severity from 1 to 5 and draws; the caller clamps the result."""

SEVERITIES = 5

FOLDER = "CIFAR-10-C"
SHAPE = 32, 32, 3


class Corruption(FixedStrengthAttack):
    """Hendrycks and Dietterich 2019, arXiv 1903.12261, with the numbers for CIFAR-10; the same draws at all severities.

    On CIFAR-10 the images are read from CIFAR-10-C's own file instead, where the user has it. Images computed
    here are not rounded to 8 bits.

    Args:
        name: one of ``CORRUPTIONS``.

    Raises:
        ValueError: it is not one of them.
    """

    def __init__(self, name: str) -> None:
        if name not in CORRUPTIONS:
            raise ValueError(f"name {name!r} is no corruption of CIFAR-10-C.{nearest(str(name), CORRUPTIONS)}")
        self.name = name

    def find_file(self, dataset: str, test_labels: Tensor, data_root: Path) -> Path | None:
        """Return CIFAR-10-C's file of this corruption, for CIFAR-10 if it exists; see ``find_original``."""
        return find_original(self.name, test_labels, data_root) if dataset == "cifar10" else None

    def perturb(
        self, context: AttackContext, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: ImageKeys
    ) -> Iterator[Tensor]:
        """Yield the images at each severity, in [0, 1].

        Raises:
            JobFailedError: a strength is not a severity.
        """
        draws = self.draws(keys, images)
        for strength in strengths:
            if strength not in range(SEVERITIES + 1):
                raise JobFailedError(f"severities are 0, 1, 2, 3, 4 and 5 (got {strength:g})")
            yield self.corrupted(images, int(strength), draws) if strength else images

    def draws(self, keys: ImageKeys, images: Tensor) -> Draws:
        """Return the random numbers of this corruption for images."""
        return Draws(keys, f"corruption-{self.name}", images.device)

    def corrupted(self, images: Tensor, severity: int, draws: Draws) -> Tensor:
        """Return images (N, C, H, W) at a severity from 1 to 5, in [0, 1]."""
        if self.file is not None:
            return read_original(self.file, severity, draws.indices, like=images)
        return CORRUPTIONS[self.name](images, severity, draws).clamp(0, 1)


def find_original(name: str, test_labels: Tensor, data_root: Path) -> Path | None:
    """Return the file of a corruption such as ``fog`` below the folder of data sets, or None if there is none.

    Raises:
        UserError: the file has another type or shape, or labels.npy is absent or does not hold the test labels.
    """
    path = data_root / FOLDER / f"{name.replace('-', '_')}.npy"
    if not path.is_file():
        return None
    images, labels = _opened(path), _opened(path.with_name("labels.npy"))
    expected = SEVERITIES * len(test_labels), *SHAPE
    if images.dtype != np.uint8 or images.shape != expected:
        found = f"{images.dtype} {images.shape}"
        raise UserError(f"{path} must hold uint8 {expected}, not {found}; put the original there.")
    if not np.array_equal(labels, np.tile(test_labels.numpy(), SEVERITIES)):
        wrong = path.with_name("labels.npy")
        raise UserError(f"{wrong} does not hold CIFAR-10's test labels {SEVERITIES} times; put the original there.")
    return path


def read_original(path: Path, severity: int, indices: Sequence[int], *, like: Tensor) -> Tensor:
    """Return some corrupted test images, float32 in [0, 1], in the colour and on the device of ``like``."""
    file = _opened(path)
    rows = np.array(indices) + (severity - 1) * (len(file) // SEVERITIES)
    images = torch.from_numpy(file[rows]).permute(0, 3, 1, 2)
    return in_colour(images, "gray" if like.shape[1] == 1 else "rgb").to(like.device).to(like.dtype) / 255


def _opened(path: Path) -> np.ndarray:
    try:
        return np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); put the original of CIFAR-10-C there.") from error
