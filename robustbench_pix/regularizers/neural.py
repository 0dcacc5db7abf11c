"""The neural target (Li et al. 2019): similarities of neural responses, of the images' recording or the user's file."""

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from robustbench_pix.catalogue.regularizer_parameters import SimilarityParameters
from robustbench_pix.data.array_files import read_array
from robustbench_pix.data.recording import Recording
from robustbench_pix.data.recording_files import read_recording
from robustbench_pix.errors import UserError
from robustbench_pix.identity import digest
from robustbench_pix.regularizers.responses import recording_similarity


def neural_similarity(
    parameters: SimilarityParameters, folder: Path | None, images: int, recording: Recording | None = None
) -> Tensor:
    """Return similarities (images, images), float64, NaN for pairs that the file does not cover.

    The file that the parameters name counts, else the recording that the images carry.

    Raises:
        UserError: there is neither, a file is absent or has the wrong shape, or what it holds is no similarity.
    """
    recording = neural_recording(parameters, folder, recording)
    named = parameters.similarity or parameters.responses
    if named is not None:
        order = _order(str(parameters.order), folder, recording.images, images, _path(named, folder))
    similarity = recording_similarity(
        recording, parameters.sessions, weights=parameters.weights, standardize=bool(parameters.standardize)
    )
    if named is None:
        return similarity
    full = torch.full((images, images), torch.nan, dtype=torch.float64)
    full[order[:, None], order[None, :]] = similarity
    return full


def neural_recording(parameters: SimilarityParameters, folder: Path | None, recording: Recording | None) -> Recording:
    """Return the recording in the file that the parameters name, else the one that the images carry.

    Raises:
        UserError: there is neither, or the file is absent or holds no recording.
    """
    if named := parameters.similarity or parameters.responses:
        return read_recording(_path(named, folder), "similarity" if parameters.similarity else "responses")
    if recording is None:
        raise UserError("The neural target names no file, and the images of its training carry no recording.")
    return recording


def file_digest(parameters: SimilarityParameters, folder: Path | None, recording: Recording | None = None) -> str:
    """Return a digest of the content of every file that the parameters name, or of the recording without a file."""
    named = {field: getattr(parameters, field) for field in ("similarity", "responses", "order")}
    if recording is not None and not (parameters.similarity or parameters.responses):
        return recording.digest(parameters.sessions)
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


def _order(order: str, folder: Path | None, rows: int, images: int, path: Path) -> Tensor:
    if order == "prepared":
        if rows != images:
            raise UserError(f"{path} has {rows} rows, but the prepared regularization data have {images} images.")
        return torch.arange(images)
    numbers = read_array(_path(order, folder), "order").squeeze()
    valid = numbers.shape == (rows,) and numbers.dtype.kind in "iu" and len(set(numbers.tolist())) == rows
    if not valid or numbers.min() < 0 or numbers.max() >= images:
        raise UserError(
            f"{order} must hold {rows} different whole numbers from 0 to {images - 1}, one for each row of {path}."
        )
    return torch.from_numpy(numbers.astype("int64"))
