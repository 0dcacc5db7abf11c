"""Targets of the similarity regularizer: a value for each pair of images, and the pairs that are drawn."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from robustbench_pix.catalogue.regularizer_parameters import SimilarityParameters
from robustbench_pix.data.preparation import RegularizationData
from robustbench_pix.errors import UserError
from robustbench_pix.randomness import stream
from robustbench_pix.regularizers.held_out import hold_out
from robustbench_pix.regularizers.neural import neural_similarity
from robustbench_pix.regularizers.pairs import condensed, pair_count
from robustbench_pix.regularizers.random_network import random_network, random_network_similarity, weights_digest
from robustbench_pix.regularizers.similarity import label_similarity, pixel_similarity, threshold
from robustbench_pix.regularizers.v1_model import v1_similarity

LARGEST_SHARES = (0.1, 0.01, 0.001)
"""Of the pairs; a threshold that selects none is told with those that select so many."""


class PairTargets(NamedTuple):
    """The target of each pair, and which pairs are drawn.

    Attributes:
        values: float32 (pairs,), one for each pair.
        allowed: ranks of the pairs to draw, None for all.
        held_out: ranks of pairs that only tell what was learned; None where none are held out.
    """

    values: Tensor
    allowed: Tensor | None
    held_out: Tensor | None = None


def build_target(
    data: RegularizationData,
    parameters: SimilarityParameters,
    *,
    seed: int,
    folder: Path | None,
    untrained: Callable[[int], nn.Module] | None = None,
) -> PairTargets:
    """Return the target that a recipe names, for regularization data of N images.

    ``pixel``: S^pixel. ``thresholded``: S^Th, which is 1, -1 or 0 (equation 3). ``low``, ``high``, ``positive``,
    ``negative``, ``double``: S^Th on a subset of the pairs. ``labels``: 1 for two images of a class. ``neural``: from
    a file, or from the recording of the images. ``random-network``: in a network that ``untrained`` returns.
    ``v1-model``: in a Gabor model of V1.
    ``zero``: 0 everywhere. With ``shuffled`` the values are permuted over the drawn pairs, by one permutation for each
    seed. Of images that carry a recording a tenth of the pairs is held out.

    Raises:
        UserError: the images lack what the target needs, or no pair is left.
    """
    images = data.images
    if parameters.target in ("zero", "none"):
        target = PairTargets(torch.zeros(pair_count(len(images))), None)
    elif parameters.target == "neural":
        similarity = condensed(neural_similarity(parameters, folder, len(images), data.recording))
        known = ~torch.isnan(similarity)
        target = PairTargets(similarity.nan_to_num().float(), None if known.all() else known.nonzero().flatten())
    elif parameters.target == "labels":
        if data.labels is None:
            raise UserError("The target 'labels' needs labels, which the regularization data do not have.")
        target = PairTargets(condensed(label_similarity(data.labels, centred=bool(parameters.centred))).float(), None)
    elif parameters.target == "random-network":
        if untrained is None:
            raise UserError("The target 'random-network' needs the task's network.")
        network = random_network(untrained)
        similarity = _kept(images, weights_digest(network), lambda: random_network_similarity(network, images))
        target = PairTargets(similarity.float(), None)
    elif parameters.target == "v1-model":
        cells = parameters.cells or "both"
        target = PairTargets(_kept(images, f"v1 {cells}", lambda: v1_similarity(images, cells)).float(), None)
    else:
        target = _pixel_target(_kept(images, "pixel", lambda: pixel_similarity(images)), parameters)
    if parameters.shuffled:
        target = _shuffled(target, seed)
    if data.recording is None:
        return target
    drawn, held_out = hold_out(target.allowed, len(target.values))
    if not len(drawn):
        raise UserError(f"The target {parameters.target!r} leaves no pair to draw, but for those held out.")
    return PairTargets(target.values, drawn, held_out)


_similarities: dict[tuple[object, ...], Tensor] = {}


def _kept(images: Tensor, kind: str, compute: Callable[[], Tensor]) -> Tensor:
    """Return the similarities of all pairs; those of the last images are kept for the other seeds and recipes."""
    content = images.shape, images.dtype, hashlib.sha256(images.numpy().tobytes()).digest()
    if any(key[:-1] != content for key in _similarities):
        _similarities.clear()
    if (*content, kind) not in _similarities:
        _similarities[*content, kind] = condensed(compute())
    return _similarities[*content, kind]


def _pixel_target(similarity: Tensor, parameters: SimilarityParameters) -> PairTargets:
    if parameters.target == "pixel":
        return PairTargets(similarity.float(), None)
    cut = parameters.threshold
    values = threshold(similarity, cut).float()
    if parameters.target == "thresholded":
        if not values.any():  # Every target would be 0, which is another recipe.
            raise UserError(f"The threshold {cut:g} selects no pair of these images; {_thresholds(similarity)}")
        return PairTargets(values, None)
    small = similarity.abs() < cut
    kept = {
        "low": small,
        "high": similarity.abs() > cut,
        "positive": (similarity > cut) | small,
        "negative": (similarity < -cut) | small,
        "double": (similarity.abs() > cut) | (similarity.abs() < (parameters.second_threshold or cut)),
    }[parameters.target]
    if not kept.any():
        raise UserError(
            f"The target {parameters.target!r} with threshold = {cut:g} leaves no pair to draw; "
            + _thresholds(similarity)
        )
    return PairTargets(values, kept.nonzero().flatten())


def _thresholds(similarity: Tensor) -> str:
    """Say which thresholds select the pairs of largest similarity."""
    sizes = similarity.abs().sort(descending=True).values
    selecting = [f"{float(sizes[int(share * len(sizes))]):.3g} selects {share:.1%}" for share in LARGEST_SHARES]
    return f"of these images' pairs {', '.join(selecting)} by size."


def _shuffled(target: PairTargets, seed: int) -> PairTargets:
    drawn = torch.arange(len(target.values)) if target.allowed is None else target.allowed
    permutation = torch.from_numpy(stream("shuffled-target", seed).permutation(len(drawn)))
    values = target.values.clone()
    values[drawn] = target.values[drawn[permutation]]
    return PairTargets(values, target.allowed)
