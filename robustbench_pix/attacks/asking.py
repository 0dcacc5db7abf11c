"""Many queries at once, in parts that fit a device, and what scores say about a label."""

import torch
from torch import Tensor

from robustbench_pix.attacks.access import Oracle

QUERIES_AT_ONCE = {"cpu": 128, "cuda": 4096}
"""By type of device; a matter of speed."""


def in_parts(oracle: Oracle, queries: Tensor, rows: Tensor) -> Tensor:
    """Return what the oracle shows of queries (Q, C, H, W) about the images ``rows`` (Q,), float32 (Q, classes)."""
    at_once = QUERIES_AT_ONCE.get(queries.device.type, QUERIES_AT_ONCE["cpu"])
    parts = zip(queries.split(at_once), rows.split(at_once), strict=True)
    return torch.cat([oracle(query, row) for query, row in parts])


def log_odds(scores: Tensor, labels: Tensor) -> Tensor:
    """Return log(p / (1 - p)) of the labels' probabilities p, (Q,), from logits (Q, classes).

    It falls where p falls, also where p is 1 to the last bit of float32.
    """
    own = scores.gather(1, labels[:, None])[:, 0]
    return own - scores.scatter(1, labels[:, None], -torch.inf).logsumexp(dim=1)
