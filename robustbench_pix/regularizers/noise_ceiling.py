"""Noise ceilings: how well similarities of neural responses agree with themselves, over repeats and over sessions.

No target can agree better with a recording than the recording does with another one of the same neurons.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from robustbench_pix.data.recording import Numbers, Session
from robustbench_pix.errors import UserError
from robustbench_pix.randomness import stream
from robustbench_pix.regularizers.pairs import condensed
from robustbench_pix.regularizers.responses import mean_similarity, neuron_weights

SPLITS = 20


class RepeatCeiling(NamedTuple):
    """Correlations of similarities, over the pairs of images, between repeats of one session.

    Attributes:
        split_half: of two halves of the repeats, the mean of 20 splits.
        spearman_brown: what two sets of all repeats would have, 2 r / (1 + r) (Spearman 1910; Brown 1910).
        single_trial: of one repeat of each image and the mean of the others, the mean of 20 draws.
    """

    split_half: float
    spearman_brown: float
    single_trial: float


class SessionCeiling(NamedTuple):
    """Mean correlations of a session's similarities with the mean of the others, and of all (Nili et al. 2014)."""

    lower: float
    upper: float


def repeat_ceiling(session: Session, *, weights: str | None = None, standardize: bool = False) -> RepeatCeiling:
    """Return the noise ceiling of a session over its repeats; neurons keep the weights that all repeats give them.

    Raises:
        UserError: only similarities were recorded, or a neuron has no second repeat of an image.
    """
    if session.responses is None or np.isfinite(session.responses).sum(axis=2).min() < 2:
        raise UserError(f"{session.name}: a noise ceiling over repeats needs two repeats of each image.")
    responses, of_neurons = session.responses, neuron_weights(session, weights)
    counts = np.isfinite(responses).sum(axis=2, keepdims=True)

    def agreement(first: Numbers, second: Numbers) -> float:
        """Return the correlation of the similarities of the repeats that two masks take."""
        similarities = (
            mean_similarity(np.nanmean(np.where(taken, responses, np.nan), axis=2), of_neurons, standardize)
            for taken in (first, second)
        )
        return correlation(*similarities)

    halves, trials = [], []
    for split in range(SPLITS):
        place = _places(responses, split)
        half = counts // 2
        halves.append(agreement(place < half, (place >= half) & (place < counts)))
        trials.append(agreement(place == 0, (place > 0) & (place < counts)))
    split_half = float(np.mean(halves))
    return RepeatCeiling(split_half, 2 * split_half / (1 + split_half), float(np.mean(trials)))


def session_ceiling(similarities: Sequence[Tensor]) -> SessionCeiling:
    """Return the noise ceiling over sessions, from the similarities of each, (images, images).

    Raises:
        UserError: there is one session alone.
    """
    if len(similarities) < 2:
        raise UserError("A noise ceiling over sessions needs two sessions.")
    total = torch.stack(list(similarities)).sum(dim=0)
    others = [correlation(one, (total - one) / (len(similarities) - 1)) for one in similarities]
    every = [correlation(one, total / len(similarities)) for one in similarities]
    return SessionCeiling(float(np.mean(others)), float(np.mean(every)))


def correlation(first: Tensor, second: Tensor) -> float:
    """Return Pearson's r of two similarities (images, images) over the pairs i < j; NaN where one is constant."""
    return float(torch.corrcoef(torch.stack([condensed(first.double()), condensed(second.double())]))[0, 1])


def _places(responses: Numbers, split: int) -> Numbers:
    """Return the place of each repeat in a random order of repeats, missing ones last, of the responses' shape.

    The order is the same for all neurons, whose noise is shared, and for all images, since a repeat is often one pass
    through all of them: slow changes between passes then cancel.
    """
    drawn = stream("noise-ceiling", split).permutation(responses.shape[2])
    return np.where(np.isfinite(responses), drawn, np.inf).argsort(axis=2).argsort(axis=2).astype(np.float64)
