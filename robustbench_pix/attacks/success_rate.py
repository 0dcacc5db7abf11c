"""Whether the last tries of each image succeeded often or seldom, counted on the device."""

import torch
from torch import Tensor


class SuccessRate:
    """The last ``trials`` successes of N images; an image's count begins anew whenever it was found often or seldom.

    All tensors are changed in place, so that notes can be part of a CUDA graph.
    """

    def __init__(self, trials: int, images: int, device: torch.device) -> None:
        self.trials = trials
        self.successes = torch.zeros(trials, images, device=device)
        self.noted = torch.zeros(images, dtype=torch.int64, device=device)
        self.place = torch.zeros(1, dtype=torch.int64, device=device)

    def note(self, success: Tensor, *, above: float, below: float) -> tuple[Tensor, Tensor]:
        """Note one try of each image, bool (N,); return whose rate is above and whose is below the given ones.

        An image with fewer than ``trials`` notes since it was last found so is neither.
        """
        self.successes.index_copy_(0, self.place, success[None].float())
        self.place.add_(1).remainder_(self.trials)
        self.noted += 1
        full, rate = self.noted >= self.trials, self.successes.mean(dim=0)
        often, seldom = full & (rate > above), full & (rate < below)
        self.noted.masked_fill_(often | seldom, 0)
        return often, seldom
