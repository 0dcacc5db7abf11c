"""Attack one model, and record the outcome of every image, strength and repetition."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from robustbench_pix.attacks.base import Attack, FixedStrengthAttack, MinimalDistanceAttack, TensorCache
from robustbench_pix.attacks.querying.oracle import guarded
from robustbench_pix.devices import arithmetic
from robustbench_pix.evaluation.batch import AttackedModel, AttackSetting, Batch, Columns
from robustbench_pix.evaluation.judging import judge_batch, predict
from robustbench_pix.randomness import global_streams, stream

KEPT_IMAGES = 5
"""Number of test images kept; the same for every attack on a task, which attacks others too."""


class ExampleImages:
    """The judged images of an attack for some test images, at the first repetition.

    Attributes:
        judged: test index -> float32 in [0, 1], (strengths, C, H, W).
    """

    def __init__(self, indices: np.ndarray) -> None:
        self.indices, self.judged = indices, dict[int, np.ndarray]()

    def places(self, numbers: np.ndarray, repetitions: np.ndarray) -> list[int]:
        """Return the rows of a batch, given by test index and repetition, that are kept."""
        return [int(place) for place in np.flatnonzero(np.isin(numbers, self.indices) & (repetitions == 0))]

    def add(self, numbers: np.ndarray, judged: Sequence[Tensor]) -> None:
        """Keep the images of these test indices: for each strength (indices, C, H, W)."""
        if len(numbers):
            self.judged.update(zip(numbers.tolist(), torch.stack(list(judged), dim=1).cpu().numpy(), strict=True))

    def table(self, examples: pd.DataFrame, images: Tensor) -> pd.DataFrame:
        """Return a row for each kept image: the first strength at which it is misclassified, else the largest.

        For minimal distances it is the nearest adversarial, or the image itself if none was found; an image that is
        misclassified without attack is shown unchanged.

        Args:
            examples: the table from ``evaluate``.
            images: the test images, float32 in [0, 1], (N, C, H, W).

        Returns:
            ``index, label, strength, prediction, l2, linf, height, width, original, picture``: strength is NaN for
            minimal distances, the last two are 8-bit levels in hexadecimal, row by row. They are for display; the model
            saw float32.
        """
        kept = examples[(examples["repetition"] == 0) & examples["index"].isin(self.judged)]
        lines = [self._line(kept[kept["index"] == index], images[index]) for index in sorted(self.judged)]
        return pd.DataFrame(lines)

    def _line(self, rows: pd.DataFrame, original: Tensor) -> dict[str, Any]:
        wrong = np.flatnonzero(rows["prediction"] != rows["label"])
        mistaken = rows["clean_prediction"].iloc[0] != rows["label"].iloc[0]
        place = 0 if mistaken else wrong[0] if len(wrong) else len(rows) - 1
        row = rows.iloc[place]
        index, (_, height, width) = int(row["index"]), original.shape
        before = _levels(original.cpu().numpy())
        line = {"index": index, "label": int(row["label"]), "strength": float(row["strength"])}
        if mistaken or np.isinf(row["l2"]):
            line |= {"prediction": int(row["clean_prediction"]), "l2": 0.0, "linf": 0.0}
            after = before
        else:
            line |= {"prediction": int(row["prediction"]), "l2": float(row["l2"]), "linf": float(row["linf"])}
            after = _levels(self.judged[index][place])
        return {**line, "height": height, "width": width, "original": before, "picture": after}


def _levels(image: np.ndarray) -> str:
    """Return an image in [0, 1], (C, H, W), as 8-bit levels in hexadecimal, the channels of a pixel side by side.

    >>> _levels(np.array([[[0.0, 1.0]], [[0.5, 0.2]]]))
    '0080ff33'
    """
    return np.rint(image.transpose(1, 2, 0) * 255).astype(np.uint8).tobytes().hex()


BATCH_CACHE_BYTES = 2**26
GRADIENT_BATCH = 256
"""Batch size of own attacks with gradients on a GPU; limited by memory."""

QUERY_BATCH = 4096
"""Batch size of own attacks without gradients on a GPU."""

COLUMN_TYPES: dict[str, Any] = {
    **dict.fromkeys(("label", "clean_prediction", "prediction"), np.int16),
    **dict.fromkeys(("correct", "failed"), np.bool_),
    **dict.fromkeys(("queries", "found_at", "queries_at_half"), np.int32),
}
"""All other columns are float32."""


def attacked_indices(task: str, images: int, wanted: int | None) -> np.ndarray:
    """Return the attacked test images: all, or a fixed choice; a smaller choice is a subset of a larger one."""
    if wanted is None or wanted >= images:
        return np.arange(images)
    return np.sort(image_order(task, images)[:wanted])


def image_order(task: str, images: int) -> np.ndarray:
    """Return the test indices in the fixed order in which attacks on fewer images choose them."""
    return stream("attacked-images", task).permutation(images)


def evaluate(
    network: nn.Module,
    source: nn.Module | None,
    attack: Attack,
    images: Tensor,
    labels: Tensor,
    setting: AttackSetting,
    *,
    device: str,
    source_cache: TensorCache | None = None,
    pictures: ExampleImages | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> pd.DataFrame:
    """Return one row for each strength x repetition x image, in this order; distances of one run serve all strengths.

    Args:
        network: the attacked model, on the device.
        source: the source model of a transfer attack, or None.
        images: the test images, float32 in [0, 1], (N, C, H, W), on the device; labels int64 (N,).
        source_cache: cache for this source and these images, of results that are the same for every attacked model.
        pictures: keeps the judged images of its indices; no number depends on it.

    Returns:
        ``index, repetition, strength, label, clean_prediction, prediction, correct, failed, l2, linf, queries``; at
        given strengths ``found_at``, the query that found the first adversarial within the strength, 0 for none; for
        attacks of minimal distance (strength is NaN, l2 and linf are infinite without an adversarial) the best
        distance so far, in the attack's norm, after 10 to 100,000 queries, ``distance_at_10, distance_at_20, ...``, and
        ``queries_at_half, distance_at_half`` after half of the queries.
    """
    indices = attacked_indices(setting.task, len(images), setting.evaluation.images)
    size = _batch_size(attack, setting, device, images.shape[1:].numel())
    rounds = _rounds(attack, indices, setting.evaluation.repetitions, size)
    batches: list[Columns] = []
    with ExitStack() as stack:
        for model in (network, source):
            if model is not None:
                stack.enter_context(guarded(model))
        stack.enter_context(arithmetic("float32"))
        clean = queried = predict(network, images, device=device)
        if source is not None and isinstance(attack, MinimalDistanceAttack):
            queried = predict(source, images, device=device)
        # The strengths of a batch share what follows from the source, also where no cache outlives this model.
        cache = TensorCache(BATCH_CACHE_BYTES) if source_cache is None else source_cache
        attacked = AttackedModel(network, source, images, labels, clean, queried, device, cache)
        for done, (numbers, repetitions) in enumerate(rounds, start=1):
            pictured = [] if pictures is None else pictures.places(numbers, repetitions)
            batch = Batch(attacked, setting, numbers, repetitions, pictured)
            with global_streams("attack", *batch.first_key.parts):
                run = batch.fixed(attack) if isinstance(attack, FixedStrengthAttack) else batch.minimal(attack)
            batches.append(run)
            if pictures is not None:
                pictures.add(numbers[pictured], batch.pictures)
            progress(done / len(rounds))
    strengths = setting.strengths if isinstance(attack, FixedStrengthAttack) else (np.nan,)
    return _marked(_table(rounds, strengths, batches), attack)


def _batch_size(attack: Attack, setting: AttackSetting, device: str, entries: int) -> int:
    """Return the batch size of an attack: it affects the numbers of a library, but only the speed of own attacks."""
    if attack.one_by_one:
        return 1
    if attack.batch_dependent:
        return setting.evaluation.batch_size
    if device == "cpu" or setting.access == "none":
        return judge_batch(device, entries)
    return GRADIENT_BATCH if setting.access in ("transfer", "gradients") else QUERY_BATCH


def _rounds(attack: Attack, indices: np.ndarray, repetitions: int, size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the test indices and repetitions of each batch; only own attacks may mix repetitions in a batch."""
    numbers, rounds = np.tile(indices, repetitions), np.repeat(np.arange(repetitions), len(indices))
    pool = len(indices) if attack.batch_dependent or attack.one_by_one else len(numbers)
    firsts = [start + first for start in range(0, len(numbers), pool) for first in range(0, pool, size)]
    ends = [*firsts[1:], len(numbers)]
    return [(numbers[first:end], rounds[first:end]) for first, end in zip(firsts, ends, strict=True)]


def _marked(examples: pd.DataFrame, attack: Attack) -> pd.DataFrame:
    """Add the column ``raised`` where the library raised errors: 1 for an image attacked alone, 2 for a failed one."""
    failures = getattr(attack, "failures", None)
    if failures is None or not failures.marks:
        return examples
    failures.refuse_if_all()
    marks = {(key.index, key.repetition): mark for key, mark in failures.marks.items()}
    images = zip(examples["index"], examples["repetition"], strict=True)
    return examples.assign(raised=np.array([marks.get(image, 0) for image in images], dtype=np.int8))


def _table(
    rounds: list[tuple[np.ndarray, np.ndarray]], strengths: tuple[float, ...], batches: list[Columns]
) -> pd.DataFrame:
    numbers, repetitions = (np.concatenate(parts) for parts in zip(*rounds, strict=True))
    where = {
        "index": np.tile(numbers.astype(np.int32), len(strengths)),
        "repetition": np.tile(repetitions.astype(np.int16), len(strengths)),
        "strength": np.repeat(np.array(strengths, dtype=np.float64), len(numbers)),
    }
    outcome = {name: torch.cat([columns[name] for columns in batches], dim=1).flatten() for name in batches[0]}
    arrays: dict[str, np.ndarray] = {
        name: values.cpu().numpy().astype(COLUMN_TYPES.get(name, np.float32)) for name, values in outcome.items()
    }
    return pd.DataFrame(where | arrays)
