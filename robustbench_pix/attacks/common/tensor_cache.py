"""A cache of tensors that are the same for every attacked model: noise draws, signs of a source model's gradients."""

from collections.abc import Callable, Hashable

from torch import Tensor


class TensorCache:
    """Least recently used cache of tensors, of at most ``limit_bytes`` together."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.kept: dict[Hashable, Tensor] = {}

    def get_or_compute(self, key: Hashable, compute: Callable[[], Tensor]) -> Tensor:
        """Return the tensor of a key, computed where it is not cached; callers must not change it."""
        tensor = self.kept.pop(key, None)
        if tensor is None:
            tensor = compute()
        self.kept[key] = tensor  # The most recently used comes last.
        while sum(kept.nbytes for kept in self.kept.values()) > self.limit_bytes:
            del self.kept[next(iter(self.kept))]
        return tensor
