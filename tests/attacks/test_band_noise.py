"""Band noise: nothing outside its band, the same energy in every band, and shipped bands that tile the spectrum."""

import numpy as np
import pytest
import torch
from scipy import stats

from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.noise import BandNoise
from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.errors import JobFailedError
from tests.attacks.toys import blind, keys_of

QUARTERS = [f"band-noise-{number}" for number in range(1, 5)]
HALVES = ["low-pass-noise", "high-pass-noise"]
SIZES = [(1, 8, 8), (3, 32, 32), (1, 28, 28), (3, 14, 9)]
SIGMA = 0.05


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("empty"))
    return {name: build_attack(workspace.attack(name)) for name in QUARTERS + HALVES}


def noise_of(attack, shape, count=6, sigma=SIGMA):
    """Return the noise (count, C, H, W), float64; images are mid gray, from which no entry reaches 0 or 1."""
    images = torch.full((count, *shape), 0.5)
    (noisy,) = attack.perturb(blind(), images, torch.zeros(count), [sigma], keys_of(count))
    return (noisy - images).double().numpy()


def radii(shape):
    """Return each frequency's distance from 0 in units of the Nyquist frequency, counted one by one."""
    height, width = shape[1:]
    cycles = [[(min(y, height - y) / height, min(x, width - x) / width) for x in range(width)] for y in range(height)]
    return 2 * np.linalg.norm(np.array(cycles), axis=2)


@pytest.mark.parametrize("shape", SIZES)
def test_nothing_is_outside_the_band_and_something_everywhere_inside(shape):
    band = BandNoise(0.25, 0.75)
    energy = np.abs(np.fft.fft2(noise_of(band, shape))) ** 2
    inside = (radii(shape) > 0.25) & (radii(shape) <= 0.75)
    # Images are float32: their last bit around 0.5, 6e-8, is a ten-thousandth of a ten-thousandth of the energy.
    assert energy[:, :, ~inside].sum() < 1e-8 * energy.sum()
    assert energy[:, :, inside].mean(axis=0).min() > 1e-3 * energy[:, :, inside].mean()


def test_within_the_band_the_spectrum_is_white():
    """Energies of a frequency are exponential: their mean over 400 images is within 5 standard errors."""
    shape = (1, 16, 16)
    energy = (np.abs(np.fft.fft2(noise_of(BandNoise(0.3, 0.9), shape, count=400))) ** 2).mean(axis=(0, 1))
    complex_ones = np.ones((16, 16), dtype=bool)
    complex_ones[::8, ::8] = False  # Real frequencies spread more.
    inside = energy[(radii(shape) > 0.3) & (radii(shape) <= 0.9) & complex_ones]
    np.testing.assert_allclose(inside, inside.mean(), rtol=5 / np.sqrt(400))


@pytest.mark.parametrize("shape", SIZES)
def test_every_band_has_the_same_energy_in_every_image(shape, shipped):
    for attack in [*shipped.values(), BandNoise(0, 2), BandNoise(0.6, 0.8)]:
        noise = noise_of(attack, shape)
        assert np.isfinite(noise).all()
        np.testing.assert_allclose(np.sqrt((noise**2).mean(axis=(1, 2, 3))), SIGMA, rtol=1e-5)


@pytest.mark.parametrize("shape", [*SIZES, (3, 64, 64), (1, 11, 8)])
@pytest.mark.parametrize("names", [QUARTERS, HALVES])
def test_shipped_bands_tile_the_spectrum_but_for_the_mean(shape, names, shipped):
    holding = np.zeros(shape[1:], dtype=int)
    for name in names:
        energy = (np.abs(np.fft.fft2(noise_of(shipped[name], shape))) ** 2).mean(axis=(0, 1))
        held = energy > 1e-6 * energy.max()
        assert held.sum() >= 4
        holding += held
    assert holding[0, 0] == 0
    assert (holding.ravel()[1:] == 1).all()


def test_bands_of_an_image_are_parts_of_one_white_noise():
    """Each band is the projection of the whole onto its frequencies, scaled."""
    whole = noise_of(BandNoise(0, 2), (1, 16, 16))
    part = noise_of(BandNoise(0.3, 0.7), (1, 16, 16))
    spectrum = np.fft.fft2(whole)
    spectrum[:, :, (radii((1, 16, 16)) <= 0.3) | (radii((1, 16, 16)) > 0.7)] = 0
    projected = np.fft.ifft2(spectrum).real
    for one, other in zip(part, projected, strict=True):
        np.testing.assert_allclose(one / np.linalg.norm(one), other / np.linalg.norm(other), atol=1e-5)


def test_the_whole_spectrum_is_white_noise():
    noise = noise_of(BandNoise(0, 2), (3, 64, 64)).ravel()
    assert stats.kstest(noise / SIGMA, "norm").pvalue > 0.01


def test_channels_are_independent():
    red, green, _ = noise_of(BandNoise(0.2, 0.9), (3, 64, 64)).transpose(1, 0, 2, 3).reshape(3, -1)
    assert abs(np.corrcoef(red, green)[0, 1]) < 5 / np.sqrt(red.size * np.pi / 4 * (0.9**2 - 0.2**2))


def test_bands_do_not_remember_each_others_draws():
    low, high = BandNoise(0, 0.5), BandNoise(0.5, 1.5)
    first = noise_of(low, (1, 8, 8))
    other = noise_of(high, (1, 8, 8))
    assert abs((first * other).mean()) < 1e-6 * SIGMA**2
    np.testing.assert_array_equal(noise_of(BandNoise(0, 0.5), (1, 8, 8)), first)


def test_a_band_without_a_frequency_is_refused():
    with pytest.raises(JobFailedError, match=r"images of 8x8 pixels have no frequency in \(0, 0.2\]"):
        noise_of(BandNoise(0, 0.2), (1, 8, 8))
