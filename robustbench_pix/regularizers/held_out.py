"""Pairs held out of training on a recording, to see whether a network learned the target or the pairs by heart.

A recording has few images, so that each pair is drawn many times.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.randomness import stream
from robustbench_pix.recipes.tools import Tools
from robustbench_pix.regularizers.pairs import unrank

HELD_OUT_SHARE = 0.1


class HeldOut(NamedTuple):
    """Ranks of pairs, int64: those to draw, and those held out."""

    drawn: Tensor
    held_out: Tensor


def hold_out(allowed: Tensor | None, pairs: int) -> HeldOut:
    """Return the allowed pairs (all ``pairs`` where None) without a tenth of all pairs, and those of that tenth.

    The tenth is the same for every recipe and seed.
    """
    held = torch.zeros(pairs, dtype=torch.bool)
    held[torch.from_numpy(stream("held-out-pairs").permutation(pairs)[: round(HELD_OUT_SHARE * pairs)])] = True
    ranks = torch.arange(pairs) if allowed is None else allowed
    return HeldOut(ranks[~held[ranks]], ranks[held[ranks]])


@torch.no_grad()
def reached_similarity(tools: Tools, centres: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Return S^CNN of all images of the regularization data in eval mode, (images, images), on the network's device.

    Args:
        tools: of the training.
        centres: for each tapped layer what is subtracted from its channels, (C,).
        weights: of the layers, (layers,).
    """
    similarities = []
    for layer, centre in enumerate(centres):  # One layer at a time: all of them may not fit.
        maps = [(batch[layer].float() - centre[:, None, None]).flatten(1) for batch in tools.features("regularization")]
        unit = functional.normalize(torch.cat(maps), dim=1)
        similarities.append(unit @ unit.T)
    return torch.tensordot(weights.detach().float(), torch.stack(similarities), dims=1)


def correlation_at(similarity: Tensor, target: Tensor, ranks: Tensor) -> float:
    """Return Pearson's r over some pairs of similarities (images, images) with the targets of all pairs (pairs,).

    0 where the similarities or the targets are constant.
    """
    first, second = unrank(ranks.cpu(), len(similarity))
    values = torch.stack([similarity.cpu()[first, second].double(), target.cpu()[ranks.cpu()].double()])
    centred = values - values.mean(dim=1, keepdim=True)
    norms = centred.norm(dim=1).prod()
    return float(centred[0] @ centred[1] / norms) if norms > 0 else 0.0
