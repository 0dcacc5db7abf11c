"""Starting points of decision attacks, found by the harness, so that an image without one does not fail its batch."""

from functools import partial
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from robustbench_pix.attacks.querying.oracle import Oracle
from robustbench_pix.randomness import ImageKeys

BLEND_STEPS = 50


@torch.no_grad()
def find_starts(
    oracle: Oracle, images: Tensor, labels: Tensor, keys: ImageKeys, pool: Tensor, decisions: Tensor, *, directions: int
) -> tuple[Tensor, Tensor]:
    """Return misclassified starting points (N, C, H, W), and which images have one, bool (N,).

    As foolbox's LinearSearchBlendedUniformNoiseAttack: uniform noise is drawn until it is misclassified, then blended
    with the image in 50 equal steps, and the smallest misclassified blend is the start. Noise is drawn per image, so a
    start does not depend on the batch. An image without misclassified noise starts from the next image of ``pool``
    (M, C, H, W), counted from its own index, for which the model's ``decisions`` (M,) differ from its label.
    """
    far = images.clone()
    open_ = torch.ones(len(images), dtype=torch.bool, device=images.device)
    candidates = chain(
        (partial(_noise, keys, attempt, images) for attempt in range(directions)),
        [partial(_other, keys, labels, pool, decisions)],
    )
    for candidate in candidates:
        rows = open_.nonzero().flatten()
        if len(rows) == 0:
            break
        tried = candidate(rows)
        fooled = oracle(tried, rows).argmax(dim=1) != labels[rows]
        far[rows[fooled]] = tried[fooled]
        open_[rows[fooled]] = False
    starts = _closest_blend(oracle, images, labels, far, ~open_)
    # Once more all together, as an attack will query: rounding may differ in a batch of another size.
    rows = (~open_).nonzero().flatten()
    if len(rows):
        open_[rows] = oracle(starts[rows], rows).argmax(dim=1) == labels[rows]
    return starts, ~open_


def _closest_blend(oracle: Oracle, images: Tensor, labels: Tensor, far: Tensor, found: Tensor) -> Tensor:
    """Return the misclassified blend of image and direction with the smallest share of the direction."""
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


def _noise(keys: ImageKeys, attempt: int, like: Tensor, rows: Tensor) -> Tensor:
    shape = tuple(like.shape[1:])
    draws = [keys[row].stream(f"start-{attempt}").random(shape, dtype=np.float32) for row in rows.tolist()]
    return torch.from_numpy(np.stack(draws)).to(like.device)


def _other(keys: ImageKeys, labels: Tensor, pool: Tensor, decisions: Tensor, rows: Tensor) -> Tensor:
    first = torch.tensor([keys[row].index for row in rows.tolist()], device=pool.device)
    order = (first[:, None] + torch.arange(len(pool), device=pool.device)) % len(pool)
    differs = (decisions[order] != labels[rows][:, None]).to(torch.uint8)
    return pool[order.gather(1, differs.argmax(dim=1, keepdim=True)).flatten()]
