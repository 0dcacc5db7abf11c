"""The Gabor model of V1: one filter against numpy, and what simple and complex cells are known to do."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from robustbench_pix.catalogue.regularizer_parameters import SimilarityParameters
from robustbench_pix.data.preparation import RegularizationData
from robustbench_pix.regularizers.pairs import condensed
from robustbench_pix.regularizers.targets import build_target
from robustbench_pix.regularizers.v1_model import ORIENTATIONS, frequencies, gabor, v1_responses, v1_similarity

SIDE = 32
CELLS = (len(frequencies(SIDE)), ORIENTATIONS, 16, 16)


def grating(cycles, orientation, phase, contrast=1.0):
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    along = columns * math.cos(orientation) + rows * math.sin(orientation)
    values = 0.5 + 0.5 * contrast * np.cos(2 * math.pi * cycles * along + phase)
    return torch.from_numpy(np.rint(255 * values).astype(np.uint8))[None, None]


def complex_cells(image):
    return v1_responses(image, "complex").view(CELLS)


def test_a_filter_against_numpy():
    frequency, half = 4 / SIDE, 12
    rows, columns = np.mgrid[-half : half + 1, -half : half + 1].astype(float)
    along = columns * math.cos(math.pi / 8) + rows * math.sin(math.pi / 8)
    sigma = 0.56 / frequency
    expected = np.exp(-(rows**2 + columns**2) / (2 * sigma**2)) * np.cos(2 * math.pi * frequency * along)
    expected -= expected.mean()
    expected /= np.sqrt((expected**2).sum())
    np.testing.assert_allclose(gabor(frequency, math.pi / 8, 0.0, half), expected, atol=1e-12)


def test_responses_against_numpy_loops():
    """At one position of one image: correlation with every kernel by sums, then energy, pool and rectification."""
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 3, 8, 8), dtype=np.uint8))
    gray, row, column = image[0].numpy().astype(float).mean(axis=0) / 255, 4, 2
    filtered = {}
    for one, cycles in enumerate(frequencies(8)):
        half = min(math.ceil(2.5 * 0.56 * 8 / cycles), 7)
        padded = np.pad(gray, half, mode="reflect")[row : row + 2 * half + 1, column : column + 2 * half + 1]
        for other in range(8):
            filtered[one, other] = [
                (padded * gabor(cycles / 8, math.pi * other / 8, phase, half).numpy()).sum()
                for phase in (0, math.pi / 2)
            ]
    pool = math.sqrt(np.mean([even**2 + odd**2 for even, odd in filtered.values()]) + 0.01)
    both = v1_responses(image)
    complex_part, simple_part = both[:, : 3 * 8 * 16].view(3, 8, 4, 4), both[:, 3 * 8 * 16 :].view(3, 8, 4, 4, 4)
    for (one, other), (even, odd) in filtered.items():
        place = row // 2, column // 2
        assert float(complex_part[one, other][place]) == pytest.approx(math.hypot(even, odd) / pool, abs=1e-5)
        simple = simple_part[one, other, :, place[0], place[1]].tolist()
        assert simple == pytest.approx([max(x, 0) / pool for x in (even, odd, -even, -odd)], abs=1e-5)


def test_complex_cells_do_not_care_for_phase_and_simple_cells_do():
    found = torch.stack([complex_cells(grating(4, 0.0, phase))[2, 0, 8, 8] for phase in np.linspace(0, 6, 13)])
    assert float(found.std() / found.mean()) < 0.03
    simple = torch.stack([v1_responses(grating(4, 0.0, phase), "simple") for phase in (0, math.pi)])
    assert not torch.allclose(simple[0], simple[1], atol=0.5)


def test_complex_cells_prefer_their_own_orientation_and_frequency():
    for orientation in range(ORIENTATIONS):
        middle = complex_cells(grating(4, math.pi * orientation / ORIENTATIONS, 0.3))[:, :, 8, 8]
        assert divmod(int(middle.argmax()), ORIENTATIONS) == (2, orientation)


def test_responses_saturate_with_contrast():
    found = [float(complex_cells(grating(4, 0.0, 0.0, contrast))[2, 0, 8, 8]) for contrast in (0.02, 0.04, 0.5, 1.0)]
    assert found[1] / found[0] > 1.6
    assert found[3] / found[2] < 1.02


@pytest.mark.parametrize(("cells", "count"), [("complex", 1), ("simple", 4), ("both", 5)])
def test_similarities_are_centred_cosines_of_the_cells_asked_for(cells, count):
    images = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (12, 1, 8, 8), dtype=np.uint8))
    responses = v1_responses(images, cells).double().numpy()
    assert responses.shape == (12, count * 3 * 8 * 16)
    expected = 1 - pdist(responses - responses.mean(axis=0), "cosine")
    np.testing.assert_allclose(condensed(v1_similarity(images, cells)), expected, atol=1e-9)
    parameters = SimilarityParameters(target="v1-model", cells=cells)
    built = build_target(RegularizationData(images), parameters, seed=0, folder=None)
    np.testing.assert_allclose(built.values, expected, atol=1e-6)


def test_a_flat_image_has_no_response_and_no_similarity():
    images = torch.full((3, 1, 8, 8), 100, dtype=torch.uint8)
    assert v1_responses(images).abs().max() < 1e-5
    assert v1_similarity(images).isfinite().all()
