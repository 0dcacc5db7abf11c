import math

import numpy as np
import pytest
import torch

from robustbench_pix.attacks.corruptions.corruption import CORRUPTIONS, Corruption
from robustbench_pix.results.corruptions import GROUPS, Grouping, centroid, grouping, radial_energy
from tests.attacks.test_corruptions import textures


@pytest.mark.parametrize(("height", "width"), [(8, 8), (28, 28), (32, 32), (24, 20)])
def test_a_wave_has_its_frequency(height, width):
    side = min(height, width)
    for waves in range(side // 2 + 1):
        if width == side:
            change = torch.cos(2 * math.pi * waves * torch.arange(width) / width).expand(2, 3, height, width)
        else:
            change = torch.cos(2 * math.pi * waves * torch.arange(height) / height)[:, None].expand(2, 1, height, width)
        energy = radial_energy(change)
        assert len(energy) == side // 2 + 1
        assert centroid(energy) == pytest.approx(waves / (side / 2), abs=1e-6)


def test_energy_is_conserved_but_for_the_corners():
    change = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    frequency = np.fft.fftfreq(16)
    radius = np.hypot(*np.meshgrid(frequency, frequency)) * 16
    spectrum = abs(np.fft.fft2(change.numpy())) ** 2
    expected = [spectrum[:, :, np.rint(radius) == ring].sum(axis=-1).mean() for ring in range(9)]
    np.testing.assert_allclose(radial_energy(change).numpy(), expected, rtol=1e-5)


def test_groups_are_thirds():
    found = Grouping({name: place / 10 for place, name in enumerate("abcdef")}, (0.15, 0.35))
    assert [found.group(name) for name in "abcdef"] == ["low", "low", "medium", "medium", "high", "high"]
    assert Grouping({"alone": 0.2}, (0.2, 0.2)).group("alone") == "low"


def test_grouping_of_the_corruptions():
    found = grouping({name: Corruption(name) for name in CORRUPTIONS}, textures(40, 3, 32, 32), "toy")
    groups = {group: {name for name in CORRUPTIONS if found.group(name) == group} for group in GROUPS}
    assert [len(names) for names in groups.values()] == [5, 5, 5]
    assert groups["low"] == {"brightness", "contrast", "fog", "frost", "snow"}
    assert {"gaussian-noise", "shot-noise", "impulse-noise"} < groups["high"]
    ordered = sorted(found.centroids.values())
    assert ordered[4] < found.cut_offs[0] < ordered[5] < ordered[9] < found.cut_offs[1] < ordered[10]
