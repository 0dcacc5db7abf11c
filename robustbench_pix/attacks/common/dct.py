"""The basis of the discrete cosine transform (DCT); some black-box attacks use its low frequencies only."""

import math

import torch
from torch import Tensor


def cosines(length: int, frequencies: int, device: torch.device) -> Tensor:
    """Return the lowest frequencies of the orthonormal DCT-II of a length, float32 (frequencies, length).

    Row u is cos(pi u (2 i + 1) / (2 length)), scaled to an L2 norm of 1.
    """
    # In float64 on the CPU, since some devices have no float64.
    frequency = torch.arange(min(frequencies, length), dtype=torch.float64)[:, None]
    place = torch.arange(length, dtype=torch.float64)
    waves = torch.cos(math.pi * frequency * (2 * place + 1) / (2 * length))
    return (waves / torch.linalg.vector_norm(waves, dim=1, keepdim=True)).float().to(device)
