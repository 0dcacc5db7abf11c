"""Residual networks (He et al. 2016) with the stem of Attias, Pehlevan and Obeid: no max-pool, stride 1 unless stated.

Every network takes images in [0, 1], shape (N, C, H, W), and scales them itself: ``scale * (image - shift)``.
The images of a batch interact in ``BatchNorm2d`` alone, so forward passes can be fused into one (``segments.py``).
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustbench_pix.networks.segments import BatchNorm2d


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; the shortcut is a 1x1 convolution where the shape changes."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.bn1 = BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = BatchNorm2d(channels_out)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), BatchNorm2d(channels_out)
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the output, (N, channels_out, H / stride, W / stride)."""
        hidden = functional.relu(self.bn1(self.conv1(inputs)))
        return functional.relu(self.bn2(self.conv2(hidden)) + self.shortcut(inputs))


class ResNet(nn.Module):
    """A stem, stages of basic blocks, average pooling and a linear layer.

    Args:
        channels: of the images, 1 or 3.
        classes: number of logits.
        blocks: basic blocks in each stage.
        widths: channels of each stage; the stem has those of the first.
        stem_size: side of the stem's kernel, odd.
        stem_stride: pixels between its positions; 2 makes every later map a quarter as large.
        pool: side of the average pooling, or None for the whole map.
        scale, shift: the input becomes ``scale * (image - shift)``.
    """

    fusible = True

    def __init__(
        self,
        *,
        channels: int,
        classes: int,
        blocks: Sequence[int],
        widths: Sequence[int],
        stem_size: int,
        pool: int | None,
        scale: float,
        shift: float,
        stem_stride: int = 1,
    ) -> None:
        super().__init__()
        self.scale, self.shift, self.pool = scale, shift, pool
        self.stem = nn.Sequential(
            nn.Conv2d(channels, widths[0], stem_size, stem_stride, padding=stem_size // 2, bias=False),
            BatchNorm2d(widths[0]),
            nn.ReLU(),
        )
        stages, channels_in = [], widths[0]
        for index, (count, width) in enumerate(zip(blocks, widths, strict=True)):
            strides = [1 if index == 0 else 2] + [1] * (count - 1)
            stage = [BasicBlock(channels_in if k == 0 else width, width, stride) for k, stride in enumerate(strides)]
            stages.append(nn.Sequential(*stage))
            channels_in = width
        self.stages = nn.ModuleList(stages)
        self.linear = nn.Linear(channels_in, classes)

    def scaled(self, images: Tensor) -> Tensor:
        """Return the input of the first layer."""
        return self.scale * (images - self.shift)

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps after the stem and after each stage; images may have any size."""
        hidden = self.stem(self.scaled(images))
        taps = [hidden]
        for stage in self.stages:
            hidden = stage(hidden)
            taps.append(hidden)
        return taps

    def head(self, hidden: Tensor) -> Tensor:
        """Return the logits, (N, classes), from the last feature map."""
        pooled = (
            functional.adaptive_avg_pool2d(hidden, 1) if self.pool is None else functional.avg_pool2d(hidden, self.pool)
        )
        return cast(Tensor, self.linear(torch.flatten(pooled, 1)))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, (N, classes)."""
        return self.head(self.features(images)[-1])


def resnet18(
    *, channels: int, classes: int, width: int = 64, stem_stride: int = 1, scale: float = 1.0, shift: float = 0.0
) -> ResNet:
    """Return the paper's ResNet18 for images of 28 to 32 pixels; ``width`` is that of the first stage."""
    return _paper((2, 2, 2, 2), channels, classes, width, stem_stride, scale, shift)


def resnet34(
    *, channels: int, classes: int, width: int = 64, stem_stride: int = 1, scale: float = 1.0, shift: float = 0.0
) -> ResNet:
    """Return the paper's ResNet34 for images of 28 to 32 pixels; ``width`` is that of the first stage."""
    return _paper((3, 4, 6, 3), channels, classes, width, stem_stride, scale, shift)


def _paper(
    blocks: Sequence[int], channels: int, classes: int, width: int, stem_stride: int, scale: float, shift: float
) -> ResNet:
    return ResNet(
        channels=channels,
        classes=classes,
        blocks=blocks,
        widths=[width * 2**stage for stage in range(4)],
        stem_size=7,
        stem_stride=stem_stride,
        pool=4 if stem_stride == 1 else None,
        scale=scale,
        shift=shift,
    )


def small(*, channels: int, classes: int, width: int = 16, scale: float = 1.0, shift: float = 0.0) -> ResNet:
    """Return a network of three stages, each a basic block, for images of any size; a laptop trains it in minutes."""
    return ResNet(
        channels=channels,
        classes=classes,
        blocks=(1, 1, 1),
        widths=[width * 2**stage for stage in range(3)],
        stem_size=3,
        pool=None,
        scale=scale,
        shift=shift,
    )
