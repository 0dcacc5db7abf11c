"""Random numbers of our own: the published generator, the wanted distributions, and nothing shared."""

import numpy as np
import pytest
import torch
from scipy import stats

from robustbench_pix.attacks.common.philox import PhiloxNoise, philox, round_keys
from robustbench_pix.randomness import key_integer
from tests.attacks.toys import keys_of

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_the_generator_gives_the_published_words(counter, key, expected):
    """The known answers of the library Random123 for philox4x32 with 10 rounds."""
    words = philox(tuple(torch.tensor([word]) for word in counter), round_keys(torch.tensor(key)[:, None]))
    assert tuple(word.item() for word in words) == expected


def philox_of_integers(counter, key):
    """Compute the same with Python's integers, as Salmon et al. 2011 define it."""
    x, k = list(counter), list(key)
    for _ in range(10):
        one, other = x[0] * 0xD2511F53, x[2] * 0xCD9E8D57
        x = [(other >> 32) ^ x[1] ^ k[0], other % 2**32, (one >> 32) ^ x[3] ^ k[1], one % 2**32]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return x


def test_a_number_is_a_function_of_key_purpose_step_and_place():
    keys, steps, count = keys_of(3, seed=7), [0, 5, (9 << 32) + 4], 10
    drawn = PhiloxNoise(keys, "toy", CPU).uniform(torch.tensor(steps), count)
    for image, key in enumerate(keys):
        hashed = key_integer("toy", 7, "toy", key.index, 0, bits=64)
        for row, step in enumerate(steps):
            quarters = [
                philox_of_integers((place, step % 2**32, step >> 32, 0), (hashed % 2**32, hashed >> 32))
                for place in range(3)
            ]
            expected = [(quarter[word] >> 8) / 2**24 for word in range(4) for quarter in quarters][:count]
            assert drawn[row, image].tolist() == expected


def test_uniform_numbers_are_uniform_and_normal_ones_normal():
    noise, steps = PhiloxNoise(keys_of(8), "toy", CPU), torch.arange(30)
    uniform, normal = noise.uniform(steps, 784).flatten().numpy(), noise.normal(steps, 784).flatten().numpy()
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert stats.kstest(uniform, "uniform").pvalue > 0.01
    assert stats.kstest(normal, "norm").pvalue > 0.01
    assert np.isfinite(normal).all()
    # Both tails, which a test of the whole distribution hardly sees: 188,160 numbers, 4.3 of which exceed 4.09.
    beyond = (np.abs(normal) > 3).sum()
    assert abs(beyond - 0.0026998 * normal.size) < 4 * np.sqrt(0.0027 * normal.size)
    assert 4 < np.abs(normal).max() < 5.5


@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_images_steps_and_places_are_independent(kind):
    noise = PhiloxNoise([*keys_of(6), *keys_of(6, repetition=1), *keys_of(6, seed=1)], "toy", CPU)
    drawn = getattr(noise, kind)(torch.tensor([0, 1, 2, 1 << 32]), 4096).numpy()
    streams = drawn.reshape(-1, 4096)
    pairs = [streams, np.abs(streams - streams.mean()), np.sign(streams - streams.mean())]
    for values in pairs:  # No correlation of values, of sizes or of signs: each is within 5 standard errors of 0.
        correlation = np.corrcoef(values) - np.eye(len(values))
        assert np.abs(correlation).max() < 5 / np.sqrt(4096)
    lagged = streams - streams.mean()
    for lag in (1, 2, 1024, 2048, 3072):  # The four words of one counter are 1024 places apart.
        correlation = (lagged[:, lag:] * lagged[:, :-lag]).mean() / lagged.var()
        assert abs(correlation) < 5 / np.sqrt(lagged[:, lag:].size)


def test_numbers_do_not_depend_on_the_batch_or_on_what_else_is_drawn():
    keys, steps = keys_of(5), torch.arange(4)
    noise = PhiloxNoise(keys, "toy", CPU)
    together = noise.normal(steps, 30)
    alone = PhiloxNoise(keys[3:4], "toy", CPU).normal(steps[2:3], 30)
    assert torch.equal(alone[0, 0], together[2, 3])
    assert torch.equal(noise.select(torch.tensor([4, 1])).normal(steps, 30), together[:, [4, 1]])
    backwards = PhiloxNoise(keys[::-1], "toy", CPU).normal(steps.flip(0), 30)
    assert torch.equal(backwards.flip(0, 1), together)


def test_every_coordinate_of_a_key_matters():
    steps = torch.arange(1)
    drawn = [
        PhiloxNoise(keys, purpose, CPU).uniform(steps, 8)
        for purpose, keys in [
            ("toy", keys_of(1)),
            ("other", keys_of(1)),
            ("toy", keys_of(1, seed=1)),
            ("toy", keys_of(1, repetition=1)),
            ("toy", keys_of(1, task="other")),
            ("toy", keys_of(2)[1:]),
        ]
    ]
    assert len({tuple(numbers.flatten().tolist()) for numbers in drawn}) == len(drawn)
