"""Recordings from a user's file: responses, similarities or dissimilarities under agreed names, or rsatoolbox's."""

from pathlib import Path

import numpy as np

from robustbench_pix.data.array_files import Arrays, read_array, read_arrays
from robustbench_pix.data.dissimilarity import similarity_of
from robustbench_pix.data.recording import Recording, Session
from robustbench_pix.errors import UserError

__all__ = ["read_array", "read_recording"]

SOLE = "recording"
"""Name of the one session of a file that names none."""


def read_recording(path: Path, wanted: str) -> Recording:
    """Return the recording that a file holds, in the order of its rows.

    Args:
        path: the file.
        wanted: ``responses`` (images, neurons[, repeats]), beside which ``reliability`` (neurons,) is read, and
            ``sessions``, the session of each neuron (neurons,); or ``similarity`` (images, images) or (sessions,
            images, images), beside which ``sessions`` names the sessions. ``rdm`` stands for 1 - similarity, of this
            shape or of pairs i < j. Of rsatoolbox's files RDMs and Dataset are read.

    Raises:
        UserError: the file cannot be read, lacks what is wanted, or what it holds is no recording.
    """
    arrays = read_arrays(path, wanted)
    if wanted == "similarity":
        return _of_similarities(_with_similarity(arrays, path), path)
    return _of_responses(_with_responses(arrays, path), path)


def _of_similarities(arrays: Arrays, path: Path) -> Recording:
    similarity = _present(arrays, "similarity", path)
    several = similarity if similarity.ndim == 3 else similarity[None]
    names = [str(name) for name in arrays["sessions"].ravel()] if "sessions" in arrays else _numbered(len(several))
    if len(names) != len(several) or len(set(names)) != len(names):
        raise UserError(f"{path}: sessions must hold a name for each of the {len(several)} sessions, none twice.")
    return Recording({name: Session(str(path), similarity=one) for name, one in zip(names, several, strict=True)})


def _of_responses(arrays: Arrays, path: Path) -> Recording:
    responses, reliability = _present(arrays, "responses", path), arrays.get("reliability")
    if reliability is not None and 1 in reliability.shape:  # MATLAB has no vectors.
        reliability = reliability.ravel()
    if "sessions" not in arrays:
        return Recording({SOLE: Session(str(path), responses=responses, reliability=reliability)})
    sessions = np.array([str(name) for name in arrays["sessions"].ravel()])
    if responses.ndim < 2 or len(sessions) != responses.shape[1]:
        raise UserError(f"{path}: sessions must hold the session of each neuron, {len(sessions)} are named.")
    return Recording(
        {
            str(name): Session(
                f"{path}, session {name}",
                responses=responses[:, sessions == name],
                reliability=None if reliability is None else reliability[sessions == name],
            )
            for name in np.unique(sessions)
        }
    )


def _numbered(count: int) -> list[str]:
    return [SOLE] if count == 1 else [str(number) for number in range(1, count + 1)]


def _present(arrays: Arrays, name: str, path: Path) -> np.ndarray:
    if name not in arrays:
        raise UserError(f"{path} holds no tensor {name!r}, only {', '.join(sorted(arrays)) or 'nothing'}.")
    return arrays[name]


def _with_similarity(arrays: Arrays, path: Path) -> Arrays:
    """Return arrays with ``similarity`` where they have dissimilarities, of rsatoolbox or under the name ``rdm``."""
    given = arrays.get("dissimilarities", arrays.get("rdm"))
    if "similarity" in arrays or given is None:
        return arrays
    measure = str(arrays.get("dissimilarity_measure", "correlation"))
    pairs = "dissimilarities" in arrays or given.ndim == 1 or given.shape[-1] != given.shape[-2]
    several = np.atleast_2d(given) if pairs else given.reshape(-1, *given.shape[-2:])
    return {**arrays, "similarity": np.stack([similarity_of(one, measure, str(path)) for one in several])}


def _with_responses(arrays: Arrays, path: Path) -> Arrays:
    """Return arrays with ``responses`` where they are those of rsatoolbox's Dataset, whose rows are presentations."""
    if "responses" in arrays or "measurements" not in arrays:
        return arrays
    rows = np.asarray(arrays["measurements"])
    described = [name for name in arrays if name.startswith("obs_descriptors/") and not name.endswith("/index")]
    if len(described) != 1 or len(arrays[described[0]]) != len(rows):
        names = ", ".join(name.partition("/")[2] for name in described) or "none"
        raise UserError(
            f"{path}: one obs_descriptor must number the image of each of {len(rows)} presentations (found: {names})."
        )
    images, places = np.unique(arrays[described[0]], return_inverse=True)
    repeats = np.bincount(places)
    responses = np.full((len(images), rows.shape[1], repeats.max()), np.nan)
    seen = np.zeros(len(images), dtype=np.int64)
    for row, image in zip(rows, places, strict=True):
        responses[image, :, seen[image]] = row
        seen[image] += 1
    return {**arrays, "responses": responses}
