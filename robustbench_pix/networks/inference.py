"""Memory layout of networks, and trained networks prepared for inference: the same logits to rounding, in less time.

BatchNorm with fixed statistics is a scale and a shift, folded into the preceding convolution. On a CPU the maps then
stay in the layout of the convolution library (oneDNN) from the first convolution to the last.
"""

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from robustbench_pix.networks.resnet import BasicBlock, ResNet


def for_inference(network: nn.Module) -> nn.Module:
    """Return a network for inference, in eval mode and without gradients, on the same device.

    A ``robustbench_pix.networks.resnet.ResNet`` is copied and not changed; any other network is returned itself, in
    eval mode and in channels_last.
    """
    network = network.eval()
    if type(network) is not ResNet:
        return channels_last(network)
    folded = _folded(network)
    blocked = folded.linear.weight.device.type == "cpu" and torch.backends.mkldnn.is_available()
    return _Blocked(folded) if blocked else channels_last(folded)


def channels_last(network: nn.Module) -> nn.Module:
    """Convert the weights to channels_last, where GPUs and most CPUs are faster; images follow them.

    An opaque model is not converted, since a network that calls ``view`` on its maps would fail.
    """
    if isinstance(network, OpaqueModel) or crashes_in_channels_last(network):
        return network
    return network.to(memory_format=torch.channels_last)


class OpaqueModel(nn.Module):
    """A user's network of unknown structure, from images (N, C, H, W) to logits (N, classes)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, float32 (N, classes); the network gets contiguous images."""
        logits = self.network(images.contiguous())
        if not isinstance(logits, Tensor):
            raise TypeError(f"it returns a {type(logits).__name__} where a tensor of logits is expected")
        return logits.float()


class _Blocked(nn.Module):
    """A folded network with its convolutions in the layout of oneDNN."""

    def __init__(self, folded: ResNet) -> None:
        super().__init__()
        self.folded = folded
        # Not buffers: they are computed from the weights, so they do not belong to the network's state.
        self.reordered = {
            module: (module.weight.to_mkldnn(), cast(Tensor, module.bias).to_mkldnn())
            for module in folded.modules()
            if isinstance(module, nn.Conv2d)
        }

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, (N, classes)."""
        network = self.folded
        hidden = self._convolved(network.stem[0], network.scaled(images).to_mkldnn()).relu_()
        for stage in network.stages:
            for block in cast(nn.Sequential, stage):
                hidden = self._block(cast(BasicBlock, block), hidden)
        return network.head(hidden.to_dense())

    def _block(self, block: BasicBlock, inputs: Tensor) -> Tensor:
        hidden = self._convolved(block.conv2, self._convolved(block.conv1, inputs).relu_())
        return hidden.add_(self._convolved(block.shortcut[0], inputs) if len(block.shortcut) else inputs).relu_()

    def _convolved(self, convolution: nn.Module, inputs: Tensor) -> Tensor:
        layer = cast(nn.Conv2d, convolution)
        stride, padding = cast(tuple[int, int], layer.stride), cast(tuple[int, int], layer.padding)
        return functional.conv2d(inputs, *self.reordered[layer], stride, padding)


def _folded(network: ResNet) -> ResNet:
    """Return a copy of a network in eval mode without BatchNorm."""
    folded = copy.deepcopy(network).requires_grad_(False)
    sequences = [folded.stem]
    for block in (module for module in folded.modules() if isinstance(module, BasicBlock)):
        _fold(block, "conv1", "bn1")
        _fold(block, "conv2", "bn2")
        sequences += [block.shortcut] if len(block.shortcut) else []
    for sequence in sequences:
        _fold(sequence, "0", "1")
    return folded.requires_grad_(False)


def _fold(parent: nn.Module, convolution: str, normalization: str) -> None:
    layers = cast(nn.Conv2d, getattr(parent, convolution)), cast(nn.BatchNorm2d, getattr(parent, normalization))
    setattr(parent, convolution, fuse_conv_bn_eval(*layers))
    setattr(parent, normalization, nn.Identity())


SAFE_CHANNELS = 16
"""torch 2.14 (oneDNN) writes beyond its memory in the backward pass of a strided 1x1 convolution in channels_last of
fewer channels than a register holds, 8 with AVX2 and 16 with AVX-512: trainings of narrow networks crash."""


def crashes_in_channels_last(network: nn.Module) -> bool:
    """Return whether gradients of a network in channels_last may corrupt the memory of the process, on its device."""
    return any(
        isinstance(layer, nn.Conv2d)
        and layer.weight.device.type == "cpu"
        and layer.kernel_size == (1, 1)
        and max(layer.stride) > 1
        and layer.in_channels < SAFE_CHANNELS
        for layer in network.modules()
    )


def layout(network: nn.Module, device: str) -> torch.memory_format:
    """Return the layout of weights and images in training: channels_last, in which convolutions are faster.

    Not on a CPU where BatchNorm may be torch's own, which is inaccurate there (``networks/segments.py``), and not where
    ``crashes_in_channels_last``.
    """
    known = getattr(network, "fusible", False) or not device.startswith("cpu")
    safe = known and not crashes_in_channels_last(network)
    return torch.channels_last if safe else torch.contiguous_format
