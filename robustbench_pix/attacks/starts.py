"""Starting points of decision attacks, found by us, so that one image without one does not sink its batch."""

from collections.abc import Sequence
from functools import partial
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from robustbench_pix.attacks.access import Oracle
from robustbench_pix.attacks.base import ImageKey

BLEND_STEPS = 50


@torch.no_grad()
def find_starts(
    oracle: Oracle, images: Tensor, labels: Tensor, keys: Sequence[ImageKey], pool: Tensor, *, directions: int
) -> tuple[Tensor, Tensor]:
    """Return starting points (N, C, H, W) that the model gets wrong, and for which images there is one, bool (N,).

    As foolbox's LinearSearchBlendedUniformNoiseAttack: uniform noise is drawn until the model is wrong on it, then
    blended with the image in 50 equal steps, and the smallest blend that the model gets wrong is the start. Noise is
    keyed by image, so a start does not depend on the batch. An image that no noise fools starts from an image of
    ``pool`` (M, C, H, W) that the model puts into another class.
    """
    far = images.clone()
    open_ = torch.ones(len(images), dtype=torch.bool, device=images.device)
    candidates = chain(
        (partial(_noise, keys, attempt, images) for attempt in range(directions)),
        (partial(_other, keys, attempt, pool) for attempt in range(len(pool))),
    )
    for candidate in candidates:
        rows = open_.nonzero().flatten()
        if len(rows) == 0:
            break
        tried = candidate(rows)
        fooled = oracle(tried, rows).argmax(dim=1) != labels[rows]
        far[rows[fooled]] = tried[fooled]
        open_[rows[fooled]] = False
    found = ~open_
    return _closest_blend(oracle, images, labels, far, found), found


def _closest_blend(oracle: Oracle, images: Tensor, labels: Tensor, far: Tensor, found: Tensor) -> Tensor:
    """Return the blend of image and direction with the smallest share of the direction that the model gets wrong."""
    starts, open_ = far.clone(), found.clone()
    for step in range(BLEND_STEPS + 1):
        rows = open_.nonzero().flatten()
        if len(rows) == 0:
            break
        share = step / BLEND_STEPS
        blend = (1 - share) * images[rows] + share * far[rows]
        fooled = oracle(blend, rows).argmax(dim=1) != labels[rows]
        starts[rows[fooled]] = blend[fooled]
        open_[rows[fooled]] = False
    return starts


def _noise(keys: Sequence[ImageKey], attempt: int, like: Tensor, rows: Tensor) -> Tensor:
    shape = tuple(like.shape[1:])
    draws = [keys[row].stream(f"start-{attempt}").random(shape, dtype=np.float32) for row in rows.tolist()]
    return torch.from_numpy(np.stack(draws)).to(like.device)


def _other(keys: Sequence[ImageKey], attempt: int, pool: Tensor, rows: Tensor) -> Tensor:
    return pool[[(keys[row].index + attempt) % len(pool) for row in rows.tolist()]]
