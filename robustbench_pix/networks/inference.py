"""A trained network that is only asked, never trained: the same logits to rounding, in less time.

BatchNorm with fixed statistics is a scale and a shift, which the convolution before it takes over. A CPU then keeps the
maps in the layout of its convolution library (oneDNN) from the first convolution to the last.
"""

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from robustbench_pix.networks.resnet import BasicBlock, ResNet


def for_inference(network: nn.Module) -> nn.Module:
    """Return a network to ask, in eval mode and without gradients, on the device of the given one.

    A network whose inside is known, ``robustbench_pix.networks.resnet.ResNet``, stays as it is and is copied; any other
    is given back itself, in eval mode and in channels_last.
    """
    network = network.eval()
    if type(network) is not ResNet:
        return channels_last(network)
    folded = _folded(network)
    blocked = folded.linear.weight.device.type == "cpu" and torch.backends.mkldnn.is_available()
    return _Blocked(folded) if blocked else channels_last(folded)


def channels_last(network: nn.Module) -> nn.Module:
    """Lay the weights out with the channels last, where GPUs and most CPUs compute faster; images follow them.

    A network of which nothing is known stays as it is: one that calls ``view`` on its maps would refuse.
    """
    return network if isinstance(network, AsItIs) else network.to(memory_format=torch.channels_last)


class AsItIs(nn.Module):
    """A network of which nothing is known but that it takes images (N, C, H, W) and returns logits (N, classes)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, float32 (N, classes); the network is given its images in the usual layout."""
        logits = self.network(images.contiguous())
        if not isinstance(logits, Tensor):
            raise TypeError(f"it returns a {type(logits).__name__} where a tensor of logits is expected")
        return logits.float()


class _Blocked(nn.Module):
    """A folded network with its convolutions in the layout of oneDNN."""

    def __init__(self, folded: ResNet) -> None:
        super().__init__()
        self.folded = folded
        # No buffers: what can be computed from the weights is no part of the network's state.
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
