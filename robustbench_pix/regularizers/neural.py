"""The neural target (Li et al. 2019): similarities of neural responses, read from the user's file."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from torch import Tensor

from robustbench_pix.catalogue.regularizer_parameters import SimilarityParameters
from robustbench_pix.errors import UserError
from robustbench_pix.identity import digest

SYMMETRY_TOLERANCE = 1e-6
RANGE_TOLERANCE = 1e-6


def response_similarity(responses: Tensor, reliability: Tensor | None = None) -> Tensor:
    """Return the cosine similarities of population responses (Li et al. 2019, section 2).

    Args:
        responses: (images, neurons).
        reliability: (neurons,), the weight of each neuron; all 1 where absent.

    Returns:
        (images, images), float64, in [-1, 1]: responses are weighted, centred over images, scaled to unit length.
    """
    weighted = responses.double() if reliability is None else responses.double() * reliability.double()
    centred = weighted - weighted.mean(dim=0)
    unit = torch.nn.functional.normalize(centred, dim=1)
    return (unit @ unit.T).clamp(-1.0, 1.0)


def neural_similarity(parameters: SimilarityParameters, folder: Path | None, images: int) -> Tensor:
    """Return similarities (images, images), float64, NaN for pairs that the file does not cover.

    Raises:
        UserError: a file is absent or has the wrong shape, the matrix is not symmetric, or holds NaN or values outside
            [-1, 1].
    """
    named = parameters.similarity or parameters.responses
    path = _path(str(named), folder)
    tensors = _tensors(path, "similarity" if parameters.similarity else "responses")
    if parameters.similarity:
        similarity = _checked_similarity(tensors["similarity"], path)
    else:
        responses = tensors["responses"]
        if responses.ndim != 2 or not np.isfinite(responses).all():
            raise UserError(
                f"{path}: responses must be finite numbers of shape (images, neurons), not {responses.shape}."
            )
        reliability = tensors.get("reliability")
        if reliability is not None and (reliability.shape != responses.shape[1:] or not np.isfinite(reliability).all()):
            raise UserError(f"{path}: reliability must have one finite value a neuron, ({responses.shape[1]},).")
        weights = None if reliability is None else torch.from_numpy(reliability.astype(np.float64))
        similarity = response_similarity(torch.from_numpy(responses.astype(np.float64)), weights)
    order = _order(str(parameters.order), folder, len(similarity), images, path)
    full = torch.full((images, images), torch.nan, dtype=torch.float64)
    full[order[:, None], order[None, :]] = similarity
    return full


def file_digest(parameters: SimilarityParameters, folder: Path | None) -> str:
    """Return a digest of the content of every file that the parameters name."""
    named = {field: getattr(parameters, field) for field in ("similarity", "responses", "order")}
    contents = {
        field: name if name == "prepared" else _content_digest(_path(name, folder))
        for field, name in named.items()
        if name
    }
    return digest(contents)


def _content_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _path(name: str, folder: Path | None) -> Path:
    path = (folder or Path.cwd()) / name
    if not path.is_file():
        raise UserError(f"The neural target's file {path} does not exist; paths are relative to the recipe's file.")
    return path


def _tensors(path: Path, wanted: str) -> dict[str, np.ndarray]:
    try:
        tensors = {wanted: np.load(path, allow_pickle=False)} if path.suffix == ".npy" else load_file(path)
    except Exception as error:
        raise UserError(f"{path} could not be read as .npy or .safetensors: {error}.") from error
    if wanted not in tensors:
        raise UserError(f"{path} holds no tensor {wanted!r}, only {', '.join(sorted(tensors)) or 'nothing'}.")
    needed = {name: tensors[name] for name in (wanted, "reliability") if name in tensors}
    for name, values in needed.items():
        if values.dtype.kind not in "fiu" or values.size == 0:
            raise UserError(f"{path}: {name} must hold real numbers, not {values.size} of type {values.dtype}.")
    return needed


def _checked_similarity(values: np.ndarray, path: Path) -> Tensor:
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise UserError(f"{path}: a similarity matrix must be square, (images, images), not {values.shape}.")
    if not np.isfinite(values).all():
        raise UserError(f"{path}: the similarity matrix holds NaN or infinity; remove those images from it.")
    if np.abs(values - values.T).max() > SYMMETRY_TOLERANCE:
        raise UserError(
            f"{path}: the similarity matrix is not symmetric; its rows and columns must be the same images."
        )
    if np.abs(values).max() > 1 + RANGE_TOLERANCE:
        raise UserError(f"{path}: similarities must lie in [-1, 1], but one is {np.abs(values).max():.3g} in size.")
    return torch.from_numpy(values.astype(np.float64)).clamp(-1.0, 1.0)


def _order(order: str, folder: Path | None, rows: int, images: int, path: Path) -> Tensor:
    if order == "prepared":
        if rows != images:
            raise UserError(f"{path} has {rows} rows, but the prepared regularization data have {images} images.")
        return torch.arange(images)
    numbers = _tensors(_path(order, folder), "order")["order"]
    valid = numbers.shape == (rows,) and numbers.dtype.kind in "iu" and len(np.unique(numbers)) == rows
    if not valid or numbers.min() < 0 or numbers.max() >= images:
        raise UserError(
            f"{order} must hold {rows} different whole numbers from 0 to {images - 1}, one for each row of {path}."
        )
    return torch.from_numpy(numbers.astype(np.int64))
