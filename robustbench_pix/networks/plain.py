"""A network without shortcuts, after Simonyan and Zisserman 2015 (arXiv 1409.1556), unlike the network of any task.

It takes images in [0, 1], shape (N, C, H, W), of 4 pixels and more, and scales them itself.
"""

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustbench_pix.networks.segments import BatchNorm2d

STAGES = 3


class Plain(nn.Module):
    """Stages of two 3x3 convolutions with BatchNorm, a maximum over 2x2 pixels between them, a mean and a linear layer.

    Args:
        channels: of the images, 1 or 3.
        classes: number of logits.
        width: channels of the first stage; each stage has twice those of the one before.
        scale, shift: the input becomes ``scale * (image - shift)``.
    """

    fusible = True

    def __init__(self, *, channels: int, classes: int, width: int = 16, scale: float = 1.0, shift: float = 0.0) -> None:
        super().__init__()
        self.scale, self.shift = scale, shift
        widths = [channels, *(width * 2**stage for stage in range(STAGES))]
        self.stages = nn.ModuleList(
            nn.Sequential(*_convolved(before, wide), *_convolved(wide, wide)) for before, wide in pairwise(widths)
        )
        self.linear = nn.Linear(widths[-1], classes)

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps after each stage."""
        hidden = self.stages[0](self.scale * (images - self.shift))
        taps = [hidden]
        for stage in self.stages[1:]:
            hidden = stage(functional.max_pool2d(hidden, 2))
            taps.append(hidden)
        return taps

    def head(self, hidden: Tensor) -> Tensor:
        """Return the logits, (N, classes), from the last feature map."""
        return cast(Tensor, self.linear(torch.flatten(functional.adaptive_avg_pool2d(hidden, 1), 1)))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, (N, classes)."""
        return self.head(self.features(images)[-1])


def _convolved(channels_in: int, channels_out: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False), BatchNorm2d(channels_out), nn.ReLU()
