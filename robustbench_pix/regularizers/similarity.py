"""Similarities and their loss as pure functions (Attias, Pehlevan, Obeid 2024, equations 1 to 3).

The scale of the loss is that of the authors' released code, to which every published alpha belongs: with
z(s) = ln(1 + s + eps) - ln(1 - s + eps), which is 2 artanh(s) as eps goes to 0, the loss is the mean of
(z(predicted) - z(target))^2. The paper prints artanh; its loss is a quarter of this one.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

EPSILON = 1e-5

UNITS_AT_ONCE = 8192

ROUNDING = 1e-12
"""A centred image whose norm is below this share of the largest image's is the mean but for rounding."""


def pixel_similarity(images: Tensor) -> Tensor:
    """Return the cosine similarities of images after subtracting their mean image.

    Args:
        images: (N, C, H, W) or (N, ...), any real type; colour images are averaged over their channels first.

    Returns:
        (N, N), float64, in [-1, 1]. An image equal to the mean has similarity 0 to every image.

    >>> pixel_similarity(torch.tensor([[0.0, 1.0], [1.0, 0.0]])).round(decimals=6)
    tensor([[ 1., -1.],
            [-1.,  1.]], dtype=torch.float64)
    """
    flat = images.to(torch.float64)
    flat = (flat.mean(dim=1) if flat.ndim == 4 else flat).flatten(1)
    smallest = ROUNDING * flat.norm(dim=1).max().clamp_min(torch.finfo(torch.float64).tiny)
    flat = flat - flat.mean(dim=0)
    norms = flat.norm(dim=1, keepdim=True)
    unit = torch.where(norms > smallest, flat / norms.clamp_min(smallest), 0.0)
    return (unit @ unit.T).clamp(-1.0, 1.0)


def centred_cosines(rows: Tensor) -> Tensor:
    """Return the cosine similarities of the rows of a matrix minus their mean row, in little memory.

    Args:
        rows: (N, units), float32.

    Returns:
        (N, N), float64, in [-1, 1].
    """
    products = torch.zeros(len(rows), len(rows), dtype=torch.float64)
    for units in rows.split(UNITS_AT_ONCE, dim=1):
        centred = units.double() - units.double().mean(dim=0)
        products.addmm_(centred, centred.T)
    norms = products.diagonal().sqrt()
    norms = norms.clamp_min(ROUNDING * float(norms.max())).clamp_min(torch.finfo(torch.float64).tiny)
    return (products / norms[:, None] / norms).clamp(-1.0, 1.0)


def label_similarity(labels: Tensor, *, centred: bool = False) -> Tensor:
    """Return 1 for two images of a class and 0 for others; centred, -1 / (classes - 1) for others.

    The centred values are the cosines of one-hot labels minus their mean, for classes of equal size.

    Args:
        labels: (N,); the classes are those that occur.

    Returns:
        (N, N), float64.

    >>> label_similarity(torch.tensor([4, 7, 4]), centred=True)
    tensor([[ 1., -1.,  1.],
            [-1.,  1., -1.],
            [ 1., -1.,  1.]], dtype=torch.float64)
    """
    same = (labels[:, None] == labels).double()
    expected = 1 / max(2, len(labels.unique()))
    return (same - expected) / (1 - expected) if centred else same


def threshold(similarity: Tensor, threshold: float) -> Tensor:
    """Return 1 where a similarity is above the threshold, -1 where it is below its negative, else 0 (equation 3).

    Both inequalities are strict. Shape and type are kept.

    >>> threshold(torch.tensor([-0.9, -0.8, 0.0, 0.8, 0.9]), 0.8)
    tensor([-1.,  0.,  0.,  0.,  1.])
    """
    return (similarity > threshold).to(similarity.dtype) - (similarity < -threshold).to(similarity.dtype)


def fisher(similarity: Tensor, eps: float = EPSILON) -> Tensor:
    """Return z(s) = ln(1 + s + eps) - ln(1 - s + eps), twice the Fisher transform; +-1 becomes +-12.2, not infinity.

    >>> fisher(torch.tensor([0.0, 1.0]))
    tensor([ 0.0000, 12.2061])
    """
    return torch.log(1 + similarity + eps) - torch.log(1 - similarity + eps)


def similarity_loss(predicted: Tensor, target: Tensor, eps: float = EPSILON) -> Tensor:
    """Return the mean over pairs of (z(predicted) - z(target))^2 (equation 2, in the released code's scale).

    Four times the loss printed in the paper, so alpha = 10 here is alpha = 40 with a textbook artanh. Computed in
    float32 at least: bfloat16 cannot tell 1 + 1e-5 from 1.

    Args:
        predicted, target: (pairs,), in [-1, 1].

    Returns:
        A scalar.
    """
    predicted, target = (x if x.dtype == torch.float64 else x.float() for x in (predicted, target))
    return (fisher(predicted, eps) - fisher(target, eps)).square().mean()


def feature_similarity(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    """Return the cosine similarity of paired feature maps, layer by layer.

    Args:
        first, second: for each layer (pairs, C, H, W), already centred.

    Returns:
        (layers, pairs).
    """
    layers = zip(first, second, strict=True)
    return torch.stack([functional.cosine_similarity(a.flatten(1), b.flatten(1), dim=1) for a, b in layers])
