"""Targets of the similarity regularizer: a value for each pair of images, and the pairs that are drawn."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from robustbench_pix.catalogue.regularizer_parameters import SimilarityParameters
from robustbench_pix.errors import UserError
from robustbench_pix.randomness import stream
from robustbench_pix.regularizers.neural import neural_similarity
from robustbench_pix.regularizers.pairs import condensed
from robustbench_pix.regularizers.similarity import pixel_similarity, threshold


class PairTargets(NamedTuple):
    """``values``: float32 (pairs,), one for each pair; ``allowed``: ranks of the pairs to draw, None for all."""

    values: Tensor
    allowed: Tensor | None


def build_target(images: Tensor, parameters: SimilarityParameters, *, seed: int, folder: Path | None) -> PairTargets:
    """Return the target that a recipe names, for regularization data (N, C, H, W).

    ``pixel``: S^pixel. ``thresholded``: S^Th, which is 1, -1 or 0 (equation 3). ``low``, ``high``, ``positive``,
    ``negative``, ``double``: S^Th on a subset of the pairs. ``neural``: from a file. ``zero``: 0 everywhere. With
    ``shuffled`` the values are permuted over the drawn pairs, by one permutation for each seed.
    """
    if parameters.target == "neural":
        similarity = condensed(neural_similarity(parameters, folder, len(images)))
        known = ~torch.isnan(similarity)
        target = PairTargets(similarity.nan_to_num().float(), None if known.all() else known.nonzero().flatten())
    elif parameters.target in ("zero", "none"):
        target = PairTargets(torch.zeros(len(images) * (len(images) - 1) // 2), None)
    else:
        target = _pixel_target(_pixel_similarity_of_pairs(images), parameters)
    if target.allowed is not None and len(target.allowed) == 0:
        raise UserError(f"The target {parameters.target!r} leaves no pair of the {len(images)} images to draw.")
    return _shuffled(target, seed) if parameters.shuffled else target


_similarities: dict[tuple[object, ...], Tensor] = {}


def _pixel_similarity_of_pairs(images: Tensor) -> Tensor:
    """Return S^pixel of all pairs; that of the last images is cached for the other seeds and recipes."""
    content = images.shape, images.dtype, hashlib.sha256(images.numpy().tobytes()).digest()
    if content not in _similarities:
        _similarities.clear()
        _similarities[content] = condensed(pixel_similarity(images))
    return _similarities[content]


def _pixel_target(similarity: Tensor, parameters: SimilarityParameters) -> PairTargets:
    if parameters.target == "pixel":
        return PairTargets(similarity.float(), None)
    cut = parameters.threshold
    values = threshold(similarity, cut).float()
    if parameters.target == "thresholded":
        return PairTargets(values, None)
    small = similarity.abs() < cut
    kept = {
        "low": small,
        "high": similarity.abs() > cut,
        "positive": (similarity > cut) | small,
        "negative": (similarity < -cut) | small,
        "double": (similarity.abs() > cut) | (similarity.abs() < (parameters.second_threshold or cut)),
    }[parameters.target]
    return PairTargets(values, kept.nonzero().flatten())


def _shuffled(target: PairTargets, seed: int) -> PairTargets:
    drawn = torch.arange(len(target.values)) if target.allowed is None else target.allowed
    permutation = torch.from_numpy(stream("shuffled-target", seed).permutation(len(drawn)))
    values = target.values.clone()
    values[drawn] = target.values[drawn[permutation]]
    return PairTargets(values, target.allowed)
