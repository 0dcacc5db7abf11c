"""Laplace, speckle, shot and blended noise: the distributions they promise, and Poisson quantiles against scipy's."""

import numpy as np
import pytest
import torch
from scipy import special, stats

from robustbench_pix.attacks.noise import (
    BlendedUniformNoise,
    GaussianNoise,
    LaplaceNoise,
    ShotNoise,
    SpeckleNoise,
    poisson_quantile,
)
from tests.attacks.test_noise import MID_GRAY, perturbed

END = 2.0**-25
"""Shares of 2^-25 to 1 - 2^-25 are what shot noise asks for."""


def quantiles(shares, means):
    shares, means = np.broadcast_arrays(shares, means)
    return poisson_quantile(torch.tensor(shares), torch.tensor(means)).numpy()


@pytest.mark.parametrize("means", [np.geomspace(1e-9, 1, 200), np.geomspace(1, 1e3, 200), np.geomspace(1e3, 1e6, 50)])
def test_poisson_quantiles_are_scipys(means):
    tail = END * (2 * np.geomspace(1, 2**22, 100).round() - 1)
    shares = np.concatenate([tail, 1 - tail, np.random.default_rng(0).random(200)])[:, None]
    np.testing.assert_array_equal(quantiles(shares, means), stats.poisson.ppf(shares, means))


@pytest.mark.parametrize("mean", [0.0002463737, 0.0993874, 1.1151341, 17.285244, 300.0, 5000.0])
def test_poisson_quantiles_step_where_the_distribution_function_steps(mean):
    """Between two steps the guess is furthest from the quantile just beside them; the first means are the worst."""
    counts = np.arange(stats.poisson.ppf(1 - END, mean))
    below, beside = special.pdtr(counts, mean), 1e-4 * stats.poisson.pmf(counts, mean)
    asked = (below - beside > END) & (below + beside < 1 - END)
    assert asked.any()
    np.testing.assert_array_equal(quantiles(below - beside, mean)[asked], counts[asked])
    np.testing.assert_array_equal(quantiles(below + beside, mean)[asked], counts[asked] + 1)


def test_nothing_is_counted_in_the_dark():
    assert (quantiles(np.array([END, 0.5, 1 - END]), 0.0) == 0).all()
    black = torch.zeros(2, 1, 8, 8)
    for noise in (ShotNoise, SpeckleNoise):
        assert torch.equal(perturbed(noise, black, (0.7,))[0], black)


def test_the_smallest_and_the_largest_draw_count_too():
    """One of 2^24 draws is 0, whose quantile would be -1, or NaN in the dark; CIFAR-10 has ten million gray entries."""
    images = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).view(1, 1, 2, 2)
    draws = torch.tensor([[0.0, 1 - 2**-24, 0.0, 1 - 2**-24]]).view(1, 1, 1, 2, 2)
    noisy = ShotNoise().noisy(images, draws, 0.1).flatten().tolist()
    assert noisy == pytest.approx([0, 0, *(0.01 * stats.poisson.ppf([END, 1 - END], 100))], rel=1e-6)


@pytest.mark.parametrize(("level", "strength"), [(0.5, 0.5), (0.2, 0.25), (0.9, 0.2), (0.05, 0.1)])
def test_shot_noise_counts_photons(level, strength):
    """The chi-squared statistic against the Poisson distribution; counts that are clamped to white are one bin."""
    images = torch.full_like(MID_GRAY, level)
    counts = perturbed(ShotNoise, images, (strength,))[0].double().numpy().ravel() / strength**2
    assert np.abs(counts - counts.round()).max() < 1e-4
    white = round(1 / strength**2)
    expected = stats.poisson.pmf(np.arange(white), level / strength**2)
    expected = np.append(expected, 1 - expected.sum()) * counts.size
    seen = np.bincount(counts.round().astype(int), minlength=white + 1)
    often = expected > 5
    rest = [(values[often], values[~often].sum()) for values in (seen, expected)]
    observed, wanted = (np.append(*values) if values[1] else values[0] for values in rest)
    assert stats.chisquare(observed, wanted).pvalue > 0.01


def test_the_strength_of_shot_noise_is_its_deviation_at_white():
    """Of an image in (0, 1) far from both ends: mean x and variance x s^2."""
    noisy = perturbed(ShotNoise, MID_GRAY, (0.05,))[0].double().numpy()
    assert noisy.mean() == pytest.approx(0.5, abs=4 * 0.05 * np.sqrt(0.5 / noisy.size))
    assert noisy.var() == pytest.approx(0.5 * 0.05**2, rel=4 * np.sqrt(2 / noisy.size))


def test_one_uniform_number_decides_the_photons_of_every_strength():
    """Ranks agree: where one strength counts many, so does the other."""
    weak, strong = (noisy.numpy().ravel() for noisy in perturbed(ShotNoise, MID_GRAY, (0.05, 0.2)))
    assert stats.spearmanr(weak, strong).statistic > 0.9


def test_speckle_is_normal_in_proportion_to_brightness():
    images = MID_GRAY.clone()
    images[:, 1] = 0.2
    unit = ((perturbed(SpeckleNoise, images, (0.05,))[0] - images) / (0.05 * images)).double().numpy().ravel()
    assert stats.kstest(unit, "norm").pvalue > 0.01
    assert unit.std() == pytest.approx(1, rel=4 / np.sqrt(2 * unit.size))


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_blended_noise_is_uniform_around_what_is_left_of_the_image(share):
    noisy = perturbed(BlendedUniformNoise, MID_GRAY, (share,))[0].double().numpy().ravel()
    assert stats.kstest(noisy, stats.uniform(0.5 * (1 - share), share).cdf).pvalue > 0.01


def test_laplace_noise_has_the_variance_of_gaussian_noise_and_heavier_tails():
    laplace, gaussian = (
        perturbed(noise, MID_GRAY, (0.05,))[0].double().numpy() for noise in (LaplaceNoise, GaussianNoise)
    )
    assert laplace.std() == pytest.approx(gaussian.std(), rel=0.02)
    far = 4 * 0.05
    expected = np.exp(-4 * np.sqrt(2)) * laplace.size
    assert (np.abs(laplace - 0.5) > far).sum() == pytest.approx(expected, abs=4 * np.sqrt(expected))
    assert (np.abs(gaussian - 0.5) > far).sum() < expected / 10
