"""Two targets on the same images: how far they agree, and what each is made of."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robustbench_pix.catalogue.regularizer_parameters import SimilarityParameters
from robustbench_pix.data.recording import Recording
from robustbench_pix.regularizers.noise_ceiling import repeat_ceiling, session_ceiling
from robustbench_pix.regularizers.responses import session_similarity

BINS = 20
"""Of the histogram, evenly over [-1, 1]."""


@dataclass(frozen=True)
class NamedTarget:
    """The target of a recipe on some images.

    Attributes:
        recipe: the name of the recipe.
        parameters: of its regularizer.
        values: float32 (pairs,), one for each pair.
        ranks: of the pairs that the recipe may draw or holds out, int64 (K,), ascending.
        recording: where the target is neural, what it was computed from.
    """

    recipe: str
    parameters: SimilarityParameters
    values: Tensor
    ranks: Tensor
    recording: Recording | None


def shared_values(first: NamedTarget, second: NamedTarget) -> tuple[Tensor, Tensor]:
    """Return both targets, float64 (K,), of the pairs that both recipes use."""
    shared = first.ranks[torch.isin(first.ranks, second.ranks)]
    return first.values[shared].double(), second.values[shared].double()


def correlation_of_values(first: Tensor, second: Tensor) -> float:
    """Return Pearson's r of two targets (K,); NaN where one is constant."""
    centred = torch.stack([first - first.mean(), second - second.mean()])
    norms = centred.norm(dim=1).prod()
    return float(centred[0] @ centred[1] / norms) if norms > 0 else float("nan")


def summary(target: NamedTarget) -> dict[str, Any]:
    """Return what a target is made of, a value a column.

    ``histogram`` counts the pairs in 20 bins over [-1, 1]. ``above`` and ``below`` are the shares of pairs beyond the
    recipe's threshold and its negative. Noise ceilings are there for neural targets with repeats or sessions.
    """
    values, cut = target.values[target.ranks], target.parameters.threshold
    counts, _ = np.histogram(values.numpy(), bins=BINS, range=(-1, 1))
    return {
        "recipe": target.recipe,
        "pairs": len(values),
        "mean": float(values.mean()),
        "deviation": float(values.double().std(correction=0)),
        "least": float(values.min()),
        "largest": float(values.max()),
        "threshold": cut,
        "above": float((values > cut).double().mean()),
        "below": float((values < -cut).double().mean()),
        **ceilings(target),
        "histogram": counts.tolist(),
    }


def ceilings(target: NamedTarget) -> dict[str, float | None]:
    """Return the noise ceilings of a neural target, None where it has none; over repeats the mean of its sessions."""
    found: dict[str, float | None] = dict.fromkeys(
        ("split_half", "spearman_brown", "single_trial", "sessions_lower", "sessions_upper")
    )
    if target.recording is None or target.parameters.shuffled:
        return found
    weights, standardize = target.parameters.weights, bool(target.parameters.standardize)
    sessions = target.recording.chosen(target.parameters.sessions)
    if all(one.responses is not None and np.isfinite(one.responses).sum(axis=2).min() > 1 for one in sessions):
        repeats = [repeat_ceiling(one, weights=weights, standardize=standardize) for one in sessions]
        for name in ("split_half", "spearman_brown", "single_trial"):
            found[name] = float(np.mean([getattr(one, name) for one in repeats]))
    if len(sessions) > 1:
        similarities = [session_similarity(one, weights=weights, standardize=standardize) for one in sessions]
        found["sessions_lower"], found["sessions_upper"] = session_ceiling(similarities)
    return found
