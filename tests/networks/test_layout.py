"""Layouts of networks: the channels last, but where torch would crash."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from robustbench_pix.networks.building import build_network
from robustbench_pix.networks.inference import channels_last, layout

NARROW_TRAINING = """
import torch
from torch.nn import functional
from robustbench_pix.networks.building import build_network
from robustbench_pix.networks.inference import channels_last
torch.set_num_threads(1)
network = channels_last(build_network("small", None, {{"width": {width}}}, channels=1, classes=10, seed=0))
images, labels = torch.rand(64, 1, *{size}), torch.arange(64) % 10
for _ in range(60):
    functional.cross_entropy(network(images), labels).backward()
"""


def small(width: int) -> nn.Module:
    return build_network("small", None, {"width": width}, channels=1, classes=10, seed=0)


@pytest.mark.parametrize(("width", "expected"), [(8, torch.contiguous_format), (16, torch.channels_last)])
def test_only_narrow_networks_are_not_laid_out_with_the_channels_last(width, expected):
    assert layout(small(width), "cpu") == expected
    weights = channels_last(small(width)).stages[1][0].conv1.weight
    assert weights.is_contiguous(memory_format=expected)


@pytest.mark.parametrize(("width", "size"), [(2, (8, 8)), (8, (36, 64))])
def test_gradients_of_a_narrow_network_leave_the_memory_whole(width, size):
    # glibc aborts where a block of memory was written beyond its end.
    program = NARROW_TRAINING.format(width=width, size=size)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
