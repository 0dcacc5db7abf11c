import numpy as np
import pytest
import torch
from scipy import stats

from robustbench_pix.attacks.noise import (
    BandNoise,
    BlendedUniformNoise,
    GaussianNoise,
    LaplaceNoise,
    SaltAndPepperNoise,
    ShotNoise,
    SpeckleNoise,
    UniformNoise,
)
from robustbench_pix.randomness import stream
from tests.attacks.toys import blind, keys_of, some_images


class MiddleBand(BandNoise):
    def __init__(self):
        super().__init__(0.3, 0.8)


NOISES = [
    GaussianNoise,
    UniformNoise,
    SaltAndPepperNoise,
    LaplaceNoise,
    SpeckleNoise,
    ShotNoise,
    BlendedUniformNoise,
    MiddleBand,
]
STRENGTHS = (0.0, 0.05, 0.2, 0.7)
MID_GRAY = torch.full((12, 3, 64, 64), 0.5)


def perturbed(noise, images, strengths=STRENGTHS, keys=None, clamp="unit"):
    keys = keys_of(len(images)) if keys is None else keys
    return list(noise().perturb(blind(clamp), images, torch.zeros(len(images)), strengths, keys))


def noisy(noise, key, image, strength):
    """Return one noisy image (C, H, W), not clamped, with numpy and scipy alone."""
    generator, shape = stream(noise.purpose, key.seed, key.task, key.index, key.repetition), image.shape
    if noise is GaussianNoise:
        return image + strength * generator.standard_normal(shape, dtype=np.float32)
    if noise is SpeckleNoise:
        return image * (1 + strength * generator.standard_normal(shape, dtype=np.float32))
    if noise is LaplaceNoise:
        return image + strength * generator.laplace(size=shape) / np.sqrt(2)
    if noise is MiddleBand:
        spectrum = np.fft.fft2(generator.standard_normal(shape))
        vertical, horizontal = np.meshgrid(*(2 * np.fft.fftfreq(side) for side in shape[1:]), indexing="ij")
        squared = vertical**2 + horizontal**2
        spectrum[:, (squared <= 0.3**2) | (squared > 0.8**2)] = 0
        band = np.fft.ifft2(spectrum).real
        return image + strength * band / np.sqrt((band**2).sum() / band.size)
    uniform = generator.random(shape, dtype=np.float32)
    if noise is UniformNoise:
        return image + strength * (2 * uniform - 1)
    if noise is BlendedUniformNoise:
        return (1 - strength) * image + strength * uniform
    if noise is SaltAndPepperNoise:
        return image + np.where(uniform < strength, 2.0 * generator.integers(0, 2, shape) - 1, 0.0)
    if strength == 0:
        return image
    return strength**2 * stats.poisson.ppf(uniform.astype(np.float64) + 2**-25, image.astype(np.float64) / strength**2)


@pytest.mark.parametrize(
    ("noise", "distribution", "deviation"),
    [
        (GaussianNoise, stats.norm(), 1.0),
        (UniformNoise, stats.uniform(-1, 2), 1 / np.sqrt(3)),
        (LaplaceNoise, stats.laplace(scale=np.sqrt(0.5)), 1.0),
    ],
)
def test_distribution_of_the_unit_noise(noise, distribution, deviation):
    unit = ((perturbed(noise, MID_GRAY, (0.05,))[0] - MID_GRAY) / 0.05).double().numpy().ravel()
    assert stats.kstest(unit, distribution.cdf).pvalue > 0.01
    assert unit.mean() == pytest.approx(0, abs=4 * deviation / np.sqrt(unit.size))
    assert unit.std() == pytest.approx(deviation, rel=0.01)
    neighbours = np.corrcoef(unit[:-1], unit[1:])[0, 1]
    assert abs(neighbours) < 4 / np.sqrt(unit.size)


@pytest.mark.parametrize("probability", [0.01, 0.3, 0.9])
def test_salt_and_pepper_hits_with_its_probability_and_a_fair_sign(probability):
    values = perturbed(SaltAndPepperNoise, MID_GRAY, (probability,))[0].numpy().ravel()
    assert set(np.unique(values)) == {0.0, 0.5, 1.0}
    hit = int((values != 0.5).sum())
    assert hit / values.size == pytest.approx(
        probability, abs=4 * np.sqrt(probability * (1 - probability) / values.size)
    )
    assert stats.binomtest(int((values == 1).sum()), hit).pvalue > 0.01


def test_channels_are_hit_independently():
    values = perturbed(SaltAndPepperNoise, MID_GRAY, (0.5,))[0] != 0.5
    together = (values[:, 0] & values[:, 1]).float().mean().item()
    assert together == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / values[:, 0].numel()))


@pytest.mark.parametrize("noise", [GaussianNoise, UniformNoise, LaplaceNoise, SpeckleNoise, MiddleBand])
def test_one_unit_noise_is_scaled_to_every_strength(noise):
    weak, strong = perturbed(noise, MID_GRAY, (0.01, 0.03))
    torch.testing.assert_close(3 * (weak - MID_GRAY), strong - MID_GRAY, atol=1e-6, rtol=0)


def test_entries_hit_at_a_small_probability_are_hit_at_every_larger_one():
    weak, strong = perturbed(SaltAndPepperNoise, MID_GRAY, (0.1, 0.4))
    hit = weak != 0.5
    assert torch.equal(weak[hit], strong[hit])
    assert (strong != 0.5).sum() > hit.sum() > 0


@pytest.mark.parametrize("noise", NOISES)
def test_keyed_by_image_whatever_the_batch(noise):
    images, keys = some_images(6, channels=3), keys_of(6)
    together = torch.stack(perturbed(noise, images, keys=keys))
    backwards = torch.stack(perturbed(noise, images.flip(0), keys=keys[::-1]))
    assert torch.equal(together, backwards.flip(1))
    for index in range(6):
        alone = torch.stack(perturbed(noise, images[index : index + 1], keys=keys[index : index + 1]))
        assert torch.equal(alone[:, 0], together[:, index])


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("changed", [{"task": "other"}, {"repetition": 1}, {"seed": 1}])
def test_other_keys_draw_other_noise(noise, changed):
    images = some_images(3)
    assert not torch.equal(perturbed(noise, images)[2], perturbed(noise, images, keys=keys_of(3, **changed))[2])
    same = images[:1].expand(2, -1, -1, -1)
    first, second = perturbed(noise, same)[2]
    assert not torch.equal(first, second)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("clamp", ["unit", "image"])
def test_clamped_as_a_numpy_loop_clamps(noise, clamp):
    images, keys = 0.1 + 0.6 * some_images(4, channels=3), keys_of(4, task="digits", seed=3)
    results = perturbed(noise, images, keys=keys, clamp=clamp)
    for strength, result in zip(STRENGTHS, results, strict=True):
        for image, key, got in zip(images.numpy(), keys, result.numpy(), strict=True):
            low, high = (0, 1) if clamp == "unit" else (image.min(), image.max())
            expected = np.clip(noisy(noise, key, image, strength), low, high)
            np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("noise", NOISES)
def test_protocols_share_the_draws(noise):
    images = 0.1 + 0.6 * some_images(4)
    strict, paper = perturbed(noise, images)[-1], perturbed(noise, images, clamp="image")[-1]
    low, high = images.amin(dim=(1, 2, 3), keepdim=True), images.amax(dim=(1, 2, 3), keepdim=True)
    assert torch.equal(strict.minimum(high).maximum(low), paper)
    assert not torch.equal(strict, paper)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("clamp", ["unit", "image"])
def test_strength_zero_is_the_image(noise, clamp):
    images = some_images(4)
    assert torch.equal(perturbed(noise, images, clamp=clamp)[0], images)


@pytest.mark.parametrize("noise", NOISES)
def test_drawn_once_for_all_attacked_models(noise):
    class Watched(noise):
        drawn = 0

        def draw(self, generator, shape):
            Watched.drawn += 1
            return super().draw(generator, shape)

    images, keys = some_images(5), keys_of(5, task="drawn-once")
    first, again = (torch.stack(perturbed(Watched, images, keys=keys)) for _ in range(2))
    assert Watched.drawn == 5
    assert torch.equal(first, again)
    assert torch.equal(first, torch.stack(perturbed(noise, images, keys=keys))), "another class draws for itself"
    perturbed(Watched, images, keys=keys[::-1])
    assert Watched.drawn == 10
    perturbed(Watched, some_images(5, channels=3), keys=keys)
    assert Watched.drawn == 15
