"""Li's pipeline from responses to similarities: against numpy, on recordings with known noise, and on real ones."""

import numpy as np
import pytest
import torch

from robustbench_pix.data.base import default_root, load_dataset
from robustbench_pix.data.recording import Recording, Session
from robustbench_pix.errors import UserError
from robustbench_pix.regularizers.noise_ceiling import correlation, repeat_ceiling, session_ceiling
from robustbench_pix.regularizers.responses import (
    neuron_weights,
    recording_similarity,
    reliability,
    response_similarity,
    session_similarity,
)

GENERATOR = np.random.default_rng(0)
REAL = pytest.mark.skipif(not (default_root() / "neural").is_dir(), reason="needs the recordings below RBP_DATA")


def simulated(images=30, neurons=400, repeats=8, noise=1.0, missing=True, seed=1):
    """Return the similarities behind a recording, centred and of unit length, and its responses."""
    generator = np.random.default_rng(seed)
    latent = generator.normal(size=(images, 6))
    centred = latent - latent.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    means = centred @ generator.normal(size=(6, neurons))
    responses = means[:, :, None] + noise * generator.normal(size=(images, neurons, repeats))
    if missing:
        responses[::3, :, -2:] = np.nan
    return torch.from_numpy(unit @ unit.T), responses


def test_the_pipeline_against_numpy():
    _, responses = simulated(images=9, neurons=5)
    similarity = session_similarity(Session("a", responses=responses), weights="corrected", standardize=True)
    means = np.array([[np.mean(cell[~np.isnan(cell)]) for cell in row] for row in responses])
    noise = np.mean([[np.var(cell[~np.isnan(cell)], ddof=1) for cell in row] for row in responses], axis=0)
    repeats = 1 / np.mean([[1 / np.sum(~np.isnan(cell)) for cell in row] for row in responses], axis=0)
    weights = np.sqrt(np.maximum(means.var(axis=0, ddof=1) - noise / repeats, 0) / noise)
    np.testing.assert_allclose(reliability(responses, "a", corrected=True), weights, rtol=1e-12)
    weighted = weights * (means - means.mean(axis=0)) / means.std(axis=0)
    unit = weighted / np.linalg.norm(weighted, axis=1, keepdims=True)
    np.testing.assert_allclose(similarity.numpy(), unit @ unit.T, atol=1e-12)


def test_similarities_are_recovered_as_noise_falls():
    truth, _ = simulated()
    errors = [
        float((session_similarity(Session("a", responses=simulated(repeats=k, missing=False)[1])) - truth).abs().mean())
        for k in (2, 8, 32)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.06


def test_neurons_of_pure_noise_weigh_nothing():
    _, responses = simulated(images=200, neurons=10, noise=3.0)
    responses[:, 0] = GENERATOR.normal(size=responses.shape[::2])
    corrected, uncorrected = (reliability(responses, "a", corrected=one) for one in (True, False))
    assert corrected[0] < 0.15 < uncorrected[0]
    assert corrected[1:].min() > corrected[0]


def test_weights_follow_from_what_there_is():
    _, responses = simulated(images=9, neurons=5)
    means, given = np.nanmean(responses, axis=2), np.arange(1.0, 6.0)
    assert neuron_weights(Session("a", responses=means), None) is None
    assert neuron_weights(Session("a", responses=responses, reliability=given), None).tolist() == given.tolist()
    assert neuron_weights(Session("a", responses=responses), "none") is None
    for kind in ("corrected", "uncorrected"):
        with pytest.raises(UserError, match=f'weights = "{kind}" needs repeats .* state weights = "none"'):
            neuron_weights(Session("a", responses=means), kind)
    with pytest.raises(UserError, match="only similarities were recorded"):
        session_similarity(Session("a", similarity=np.eye(4)), weights="corrected")
    with pytest.raises(UserError, match="neuron 0 responds to all repeats alike"):
        neuron_weights(Session("a", responses=np.repeat(means[:, :, None], 2, axis=2)), None)


def test_sessions_are_averaged_and_their_neurons_never_mixed():
    parts = {name: Session(name, responses=GENERATOR.normal(size=(8, count))) for name, count in (("a", 3), ("b", 5))}
    recording = Recording(parts)
    of_each = [response_similarity(torch.from_numpy(part.responses[:, :, 0])) for part in parts.values()]
    torch.testing.assert_close(recording_similarity(recording), (of_each[0] + of_each[1]) / 2)
    torch.testing.assert_close(recording_similarity(recording, ["b"]), of_each[1])
    torch.testing.assert_close(recording_similarity(Recording(parts, ("a",))), of_each[0])


def test_a_ceiling_over_repeats_predicts_a_second_recording():
    """Spearman-Brown of halves is the correlation with other repeats, as many, of the same neurons."""
    truth, responses = simulated(images=150, neurons=30, repeats=16, noise=6.0, missing=False)
    first, second = (Session("a", responses=part) for part in (responses[:, :, ::2], responses[:, :, 1::2]))
    ceiling = repeat_ceiling(first, weights="none")
    agreed = correlation(session_similarity(first, weights="none"), session_similarity(second, weights="none"))
    assert ceiling.spearman_brown == pytest.approx(agreed, abs=0.05)
    assert ceiling.single_trial < ceiling.split_half < ceiling.spearman_brown < 1
    assert ceiling.spearman_brown == pytest.approx(2 * ceiling.split_half / (1 + ceiling.split_half))
    assert ceiling.split_half < correlation(session_similarity(first, weights="none"), truth)


def test_a_ceiling_needs_repeats_or_sessions():
    with pytest.raises(UserError, match="needs two repeats of each image"):
        repeat_ceiling(Session("a", responses=GENERATOR.normal(size=(6, 3))))
    with pytest.raises(UserError, match="needs two sessions"):
        session_ceiling([torch.eye(3)])


def test_a_ceiling_over_sessions_against_numpy():
    matrices = [np.corrcoef(GENERATOR.normal(size=(6, 9))) for _ in range(3)]
    above = np.triu_indices(6, 1)

    def r(a, b):
        return np.corrcoef(a[above], b[above])[0, 1]

    lower = np.mean([r(one, sum(matrices) - one) for one in matrices])
    upper = np.mean([r(one, sum(matrices)) for one in matrices])
    found = session_ceiling([torch.from_numpy(one) for one in matrices])
    assert (found.lower, found.upper) == (pytest.approx(lower), pytest.approx(upper))


@REAL
def test_macaque_and_human_cortex_agree_as_published():
    recording = load_dataset("kriegeskorte92", None, root=default_root(), colour="gray").recording
    macaque, human = recording_similarity(recording), recording_similarity(recording, ["human"])
    assert correlation(macaque, human) == pytest.approx(0.491, abs=0.02)
    people = [recording_similarity(recording, [f"human-{one}-1", f"human-{one}-2"]) for one in ("BE", "KO", "SN", "TI")]
    ceiling = session_ceiling(people)
    assert (ceiling.lower, ceiling.upper) == (pytest.approx(0.395, abs=0.02), pytest.approx(0.680, abs=0.02))


@REAL
def test_the_noise_ceiling_of_v4_is_the_known_one():
    session = load_dataset("v4", None, root=default_root(), colour="gray").recording.sessions["210325"]
    ceiling = repeat_ceiling(session, weights="none")
    assert ceiling.split_half == pytest.approx(0.681, abs=0.02)
    assert ceiling.spearman_brown == pytest.approx(0.810, abs=0.02)
    assert ceiling.single_trial == pytest.approx(0.497, abs=0.03)  # that of the first repeat, here of any
