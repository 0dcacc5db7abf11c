"""From a representational dissimilarity matrix (RDM; Kriegeskorte et al. 2008) to similarities."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import is_valid_y, squareform

from robustbench_pix.errors import UserError

CORRELATION, EUCLIDEAN = ("correlation", "cosine"), ("euclidean", "squared euclidean", "mahalanobis", "crossnobis")
TOLERANCE = 1e-4


def similarity_of(dissimilarity: np.ndarray, measure: str, origin: str) -> NDArray[np.float64]:
    """Return the similarities of images (images, images), in [-1, 1], from their dissimilarities.

    Of a correlation or cosine distance d it is 1 - d. A squared Euclidean distance D gives products -HDH / 2, with H
    the centring, which are scaled to unit length.

    Args:
        dissimilarity: (images, images), or its pairs i < j row by row, (images * (images - 1) / 2,).
        measure: of a distance, as rsatoolbox names it.
        origin: named in errors.

    Raises:
        UserError: it is no RDM, or the measure is another.
    """
    square = _square(np.asarray(dissimilarity, dtype=np.float64), origin)
    if measure.lower() in CORRELATION:
        if square.max() > 2 + TOLERANCE:
            raise UserError(f"{origin}: a {measure} distance is at most 2, but one is {square.max():.3g}.")
        return (1 - square).clip(-1.0, 1.0)
    if measure.lower() not in EUCLIDEAN:
        known = ", ".join((*CORRELATION, *EUCLIDEAN))
        raise UserError(
            f"{origin}: of the dissimilarity measure {measure!r} no similarity is known; known are {known}."
        )
    centred = square - square.mean(axis=0) - square.mean(axis=1)[:, None] + square.mean()
    products = -centred / 2
    norms = np.sqrt(products.diagonal().clip(np.finfo(np.float64).tiny))
    return (products / np.outer(norms, norms)).clip(-1.0, 1.0)


def _square(values: NDArray[np.float64], origin: str) -> NDArray[np.float64]:
    if values.ndim == 1:
        if not is_valid_y(values):
            raise UserError(f"{origin}: {values.size} dissimilarities are not those of all pairs of any images.")
        values = squareform(values)
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise UserError(
            f"{origin}: an RDM is square, (images, images), or the vector of its pairs, not {values.shape}."
        )
    wrong = (
        "holds NaN or infinity" if not np.isfinite(values).all()
        else "is not symmetric" if np.abs(values - values.T).max() > TOLERANCE
        else "is not 0 on its diagonal" if np.abs(values.diagonal()).max() > TOLERANCE
        else "holds negative values" if values.min() < -TOLERANCE
        else ""
    )  # fmt: skip
    if wrong:
        raise UserError(f"{origin}: the RDM {wrong}, so it holds no dissimilarities of images.")
    return (values + values.T) / 2
