"""From the responses of neurons to similarities of images (Li et al. 2019, section 2), in float64.

The repeats of an image are averaged, neurons weighted by their reliability, responses centred over images and scaled to
unit length; their products are averaged over sessions. Neurons of different sessions are never put side by side.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from robustbench_pix.data.recording import Numbers, Recording, Session
from robustbench_pix.errors import UserError

ROUNDING = 1e-12
"""Relative to a mean response; repeats that spread less are alike."""


def response_similarity(responses: Tensor, reliability: Tensor | None = None) -> Tensor:
    """Return the cosine similarities of population responses (Li et al. 2019, section 2).

    Args:
        responses: (images, neurons).
        reliability: (neurons,), the weight of each neuron; all 1 where absent.

    Returns:
        (images, images), float64, in [-1, 1]: responses are weighted, centred over images, scaled to unit length.
    """
    weighted = responses.double() if reliability is None else responses.double() * reliability.double()
    centred = weighted - weighted.mean(dim=0)
    unit = torch.nn.functional.normalize(centred, dim=1)
    return (unit @ unit.T).clamp(-1.0, 1.0)


def recording_similarity(
    recording: Recording,
    names: Sequence[str] | None = None,
    *,
    weights: str | None = None,
    standardize: bool = False,
) -> Tensor:
    """Return the mean over sessions of the similarities of images, (images, images), float64, in [-1, 1].

    Args:
        recording: what was recorded.
        names: of the sessions; the recording's usual ones where None.
        weights: of neurons: ``corrected`` or ``uncorrected`` reliability, or ``none``; where None, those that the
            recording states, else corrected ones where there are repeats, else none.
        standardize: whether the mean responses of each neuron are scaled to variance 1 first.

    Raises:
        UserError: there is no such session, or it lacks the repeats that its weights need.
    """
    sessions = recording.chosen(names)
    similarities = [session_similarity(one, weights=weights, standardize=standardize) for one in sessions]
    return torch.stack(similarities).mean(dim=0)


def session_similarity(session: Session, *, weights: str | None = None, standardize: bool = False) -> Tensor:
    """Return the similarities of images in one session; see ``recording_similarity``."""
    if session.responses is None:
        if weights not in (None, "none") or standardize:
            raise UserError(
                f"{session.name}: only similarities were recorded, so no neuron can be weighted or standardized."
            )
        return torch.from_numpy(session.of_images)
    return mean_similarity(np.nanmean(session.responses, axis=2), neuron_weights(session, weights), standardize)


def mean_similarity(means: Numbers, weights: Numbers | None, standardize: bool) -> Tensor:
    """Return the similarities of mean responses (images, neurons) with weights (neurons,), all 1 where None."""
    if standardize:
        spread = means.std(axis=0)
        means = np.divide(means - means.mean(axis=0), spread, out=np.zeros_like(means), where=spread > 0)
    return response_similarity(torch.from_numpy(means), None if weights is None else torch.from_numpy(weights))


def neuron_weights(session: Session, kind: str | None) -> Numbers | None:
    """Return the weight of each neuron of a session with responses, (neurons,); None where all are 1.

    Raises:
        UserError: weights are named that need repeats, and there are none.
    """
    assert session.responses is not None
    repeated = (np.isfinite(session.responses).sum(axis=2) > 1).any(axis=0)
    if kind == "none" or (kind is None and session.reliability is None and not repeated.all()):
        return None
    if kind is None and session.reliability is not None:
        return session.reliability
    if not repeated.all():
        raise UserError(
            f'{session.name}: weights = "{kind}" needs repeats of images, which {int((~repeated).sum())} of '
            f'{len(repeated)} neurons do not have; state weights = "none".'
        )
    return reliability(session.responses, session.name, corrected=kind != "uncorrected")


def reliability(responses: Numbers, origin: str, *, corrected: bool) -> Numbers:
    """Return sigma / eta of each neuron, (neurons,): the spread over images over the spread over repeats.

    eta^2 is the variance over repeats (n - 1), averaged over the images that have two; sigma^2 the variance over images
    of the mean of k repeats, from which ``corrected`` takes its share of noise, eta^2 / k (k the harmonic mean).

    Args:
        responses: (images, neurons, repeats), NaN where a repeat is missing.
        origin: named in errors.
        corrected: see above.

    Raises:
        UserError: a neuron responds to every repeat alike.
    """
    counts = np.isfinite(responses).sum(axis=2)
    means = np.nanmean(responses, axis=2)
    squares = np.nansum((responses - means[..., None]) ** 2, axis=2)
    several = counts > 1
    noise = np.where(several, squares / np.maximum(counts - 1, 1), 0.0).sum(axis=0) / several.sum(axis=0)
    signal = means.var(axis=0, ddof=1)
    if corrected:
        signal = np.maximum(signal - noise * (1 / counts).mean(axis=0), 0.0)
    alike = noise <= ROUNDING**2 * np.square(means).mean(axis=0)
    if (silent := alike & (signal > 0)).any():
        raise UserError(
            f"{origin}: neuron {int(silent.argmax())} responds to all repeats alike, so its reliability is infinite; "
            'state weights = "none".'
        )
    return np.sqrt(np.divide(signal, noise, out=np.zeros_like(signal), where=noise > 0))
