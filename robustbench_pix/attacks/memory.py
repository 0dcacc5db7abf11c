"""What is the same for every attacked model, kept: draws of noise, signs of a source model's gradients."""

from collections.abc import Callable, Hashable

from torch import Tensor


class Memory:
    """Keeps tensors of ``limit_bytes`` together; those that were not asked for the longest are forgotten first."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.kept: dict[Hashable, Tensor] = {}

    def recall(self, key: Hashable, make: Callable[[], Tensor]) -> Tensor:
        """Return the tensor of a key, made now where it is not kept; nobody may change it."""
        tensor = self.kept.pop(key, None)
        if tensor is None:
            tensor = make()
        self.kept[key] = tensor  # The last asked for stands last.
        while sum(kept.nbytes for kept in self.kept.values()) > self.limit_bytes:
            del self.kept[next(iter(self.kept))]
        return tensor
