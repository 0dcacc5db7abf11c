"""Attack one model and record what became of every image, strength and repetition."""

from collections.abc import Callable
from contextlib import ExitStack

import numpy as np
import pandas as pd
from torch import Tensor, nn

from robustbench_pix.attacks.access import guarded
from robustbench_pix.attacks.base import Attack, FixedStrengthAttack
from robustbench_pix.devices import arithmetic
from robustbench_pix.evaluation.batch import Batch, Block, Case, Subject
from robustbench_pix.evaluation.judging import judge_batch, predict
from robustbench_pix.randomness import global_streams, stream

GRADIENT_BATCH = 256
"""Images of which an attack of ours may take gradients at once; a matter of memory."""


def attacked_indices(task: str, images: int, wanted: int | None) -> np.ndarray:
    """Return which test images are attacked: all, or a fixed keyed choice; a smaller choice is part of a larger one."""
    if wanted is None or wanted >= images:
        return np.arange(images)
    return np.sort(stream("attacked-images", task).permutation(images)[:wanted])


def evaluate(
    network: nn.Module,
    source: nn.Module | None,
    attack: Attack,
    images: Tensor,
    labels: Tensor,
    case: Case,
    *,
    device: str,
    progress: Callable[[float], None] = lambda fraction: None,
) -> pd.DataFrame:
    """Return one row for each image x repetition x strength; distances of one run serve all strengths.

    Args:
        network: the attacked model, on the device.
        source: the source model of a transfer attack, or None.
        images: the test images, float32 in [0, 1], (N, C, H, W), on the device; labels int64 (N,).

    Returns:
        ``index, repetition, strength, label, clean_prediction, prediction, correct, failed, l2, linf, queries``, and
        for attacks of minimal distance (strength is NaN, l2 and linf are infinite where nothing was found)
        ``l2_at_100, l2_at_1000, l2_at_10000, checkpoint_queries, checkpoint_l2``.
    """
    indices = attacked_indices(case.task, len(images), case.evaluation.images)
    size = _batch_size(attack, case, device)
    batches = [indices[first : first + size] for first in range(0, len(indices), size)]
    blocks: list[Block] = []
    with ExitStack() as stack:
        for model in (network, source):
            if model is not None:
                stack.enter_context(guarded(model))
        stack.enter_context(arithmetic("float32"))
        clean = predict(network, images, device=device)
        asked = clean if source is None else predict(source, images, device=device)
        subject = Subject(network, source, images, labels, clean, asked, device)
        rounds = [(repetition, batch) for repetition in range(case.evaluation.repetitions) for batch in batches]
        for done, (repetition, numbers) in enumerate(rounds, start=1):
            batch = Batch(subject, case, numbers, repetition)
            with global_streams("attack", *batch.keys[0].parts):
                blocks += batch.fixed(attack) if isinstance(attack, FixedStrengthAttack) else batch.minimal(attack)
            progress(done / len(rounds))
    return pd.DataFrame({name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]})


def _batch_size(attack: Attack, case: Case, device: str) -> int:
    """Return how many images an attack is given: part of the numbers for an engine, a matter of speed for our own."""
    if attack.one_by_one:
        return 1
    if attack.batch_dependent:
        return case.evaluation.batch_size
    return judge_batch(device) if case.access == "none" else min(judge_batch(device), GRADIENT_BATCH)
