"""The slots and needs of the shipped recipes, stated so that ``rbp show`` imports no torch; a test holds them.

Slot and need are explained in ``robustbench_pix/recipes/contract.py``.
"""

from typing import NamedTuple


class Declared(NamedTuple):
    """The slots that a recipe defines, and the needs that it declares."""

    slots: tuple[str, ...]
    needs: tuple[str, ...] = ()


SHIPPED = {
    "similarity": Declared(("begin", "penalty"), ("pairs",)),
    "blur": Declared(("network",)),
    "noise-trained": Declared(("batch",)),
    "label-smoothing": Declared(("loss",)),
    "input-gradient": Declared(("penalty",), ("double_backward",)),
    "spectral": Declared(("begin", "penalty"), ("task_features",)),
    "lowpass-data": Declared(("batch",)),
    "mixup": Declared(("begin", "batch")),
    "augmix": Declared(("batch", "loss")),
    "adversarial": Declared(("batch",)),
    "random-signs": Declared(("batch",)),
    "fast-adversarial": Declared(("begin", "batch", "loss")),
    "trades": Declared(("batch", "loss")),
    "gaussian-trades": Declared(("batch", "loss")),
    "jacobian": Declared(("batch", "penalty"), ("double_backward",)),
    "curvature": Declared(("batch", "loss", "penalty"), ("double_backward",)),
    "local-linearity": Declared(("batch", "loss", "penalty"), ("double_backward",)),
    "spectral-norm": Declared(("begin", "penalty")),
    "parseval": Declared(("penalty",)),
}
