"""Neural recordings: what neurons answered to the images of a data set, or how similar their answers were."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustbench_pix.errors import UserError
from robustbench_pix.identity import DIGEST_LENGTH, canonical_json

SYMMETRY_TOLERANCE = 1e-6
RANGE_TOLERANCE = 1e-6

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Session:
    """One session of a recording: responses, or similarities where no responses were kept.

    Args:
        name: of its origin, for error messages.
        responses: (images, neurons, repeats), NaN where a repeat is missing; (images, neurons) is one repeat.
        reliability: the weight of each neuron, (neurons,), where it is known without repeats.
        similarity: (images, images), in [-1, 1].

    Raises:
        UserError: an array has another shape, is not finite, is no similarity, or an image has no response.
    """

    name: str
    responses: Numbers | None = None
    reliability: Numbers | None = None
    similarity: Numbers | None = None

    def __post_init__(self) -> None:
        if (self.responses is None) == (self.similarity is None):
            raise UserError(f"{self.name}: a session has either responses or similarities.")
        if self.responses is not None:
            responses = _numbers(self.responses, "responses", self.name)
            _check_responses(responses, self.name)
            object.__setattr__(self, "responses", responses.reshape(*responses.shape[:2], -1))
            if self.reliability is not None:
                reliability = _numbers(self.reliability, "reliability", self.name)
                if reliability.shape != responses.shape[1:2] or not np.isfinite(reliability).all():
                    neurons = responses.shape[1]
                    raise UserError(f"{self.name}: reliability must have one finite value a neuron, ({neurons},).")
                object.__setattr__(self, "reliability", reliability)
        else:
            similarity = _numbers(self.similarity, "similarity", self.name)
            _check_similarity(similarity, self.name)
            object.__setattr__(self, "similarity", similarity.clip(-1.0, 1.0))

    @property
    def images(self) -> int:
        """The number of images."""
        return len(self.of_images)

    @property
    def of_images(self) -> Numbers:
        """The responses or the similarities, whose first axis is the images."""
        values = self.similarity if self.responses is None else self.responses
        assert values is not None
        return values

    def first(self, count: int) -> "Session":
        """Return the session of the first ``count`` images alone."""
        if self.responses is None:
            return Session(self.name, similarity=self.of_images[:count, :count])
        return Session(self.name, responses=self.responses[:count], reliability=self.reliability)


@dataclass(frozen=True, eq=False)
class Recording:
    """Sessions by name, all of the same images in the same order.

    Args:
        sessions: name -> session.
        usual: names of the sessions that a target averages where a recipe names none; all where empty.

    Raises:
        UserError: there is no session, or their numbers of images differ.
    """

    sessions: Mapping[str, Session]
    usual: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        counts = {session.images for session in self.sessions.values()}
        if len(counts) != 1:
            raise UserError(
                f"The sessions of a recording must be of the same images, at least one (got {sorted(counts)} images); "
                "keep the images that all sessions have."
            )

    @property
    def images(self) -> int:
        """The number of images."""
        return next(iter(self.sessions.values())).images

    def chosen(self, names: Sequence[str] | None) -> list[Session]:
        """Return the sessions of these names; where there are none, the usual ones.

        Raises:
            UserError: there is no session of a name.
        """
        wanted = list(names or self.usual or self.sessions)
        if unknown := [name for name in wanted if name not in self.sessions]:
            raise UserError(
                f"The recording has no session {', '.join(unknown)}; it has: {', '.join(sorted(self.sessions))}."
            )
        return [self.sessions[name] for name in wanted]

    def first(self, count: int) -> "Recording":
        """Return the recording of the first ``count`` images alone."""
        if count >= self.images:
            return self
        return Recording({name: session.first(count) for name, session in self.sessions.items()}, self.usual)

    def description(self) -> dict[str, Any]:
        """Return the usual sessions and the digest of each by name."""
        return {"usual": list(self.usual), "sessions": {name: self.digest([name]) for name in self.sessions}}

    def digest(self, names: Sequence[str] | None) -> str:
        """Return 16 hexadecimal digits of a hash of everything in these sessions."""
        content = hashlib.sha256()
        for one in self.chosen(names):
            for part in (one.responses, one.reliability, one.similarity):
                content.update(canonical_json(None if part is None else list(part.shape)).encode())
                content.update(b"" if part is None else np.ascontiguousarray(part).data)
        return content.hexdigest()[:DIGEST_LENGTH]


def _numbers(values: object, name: str, origin: str) -> Numbers:
    array = np.asarray(values)
    if array.dtype.kind not in "fiu" or array.size == 0:
        raise UserError(f"{origin}: {name} must hold real numbers, not {array.size} of type {array.dtype}.")
    return np.ascontiguousarray(array, dtype=np.float64)


def _check_responses(responses: Numbers, origin: str) -> None:
    wanted = f"{origin}: responses must be finite numbers of shape (images, neurons)"
    if responses.ndim not in (2, 3):
        raise UserError(f"{wanted}, not {responses.shape}. Repeats are a third axis.")
    if np.isinf(responses).any():
        raise UserError(f"{wanted}; they hold infinity.")
    missing = np.asarray(np.isnan(responses).reshape(*responses.shape[:2], -1).all(axis=2))
    if missing.all(axis=1).any():
        image = int(missing.all(axis=1).argmax())
        raise UserError(f"{origin}: image {image} has no response at all; leave it out of images and responses.")
    if missing.any():
        image, neuron = np.argwhere(missing)[0]
        raise UserError(
            f"{origin}: neuron {neuron} has no response to image {image}; leave out the neuron or the image."
        )


def _check_similarity(values: Numbers, origin: str) -> None:
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise UserError(f"{origin}: a similarity matrix must be square, (images, images), not {values.shape}.")
    if not np.isfinite(values).all():
        raise UserError(f"{origin}: the similarity matrix holds NaN or infinity; remove those images from it.")
    if np.abs(values - values.T).max() > SYMMETRY_TOLERANCE:
        raise UserError(
            f"{origin}: the similarity matrix is not symmetric; its rows and columns must be the same images."
        )
    if np.abs(values).max() > 1 + RANGE_TOLERANCE:
        raise UserError(f"{origin}: similarities must lie in [-1, 1], but one is {np.abs(values).max():.3g} in size.")
