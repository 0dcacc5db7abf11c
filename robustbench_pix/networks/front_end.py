"""A network behind a fixed change of its images."""

from typing import Any, cast

from torch import Tensor, nn

from robustbench_pix.networks.building import features


class FrontEnd(nn.Module):
    """Base class: ``change`` comes before the first layer of another network, in training and in evaluation."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    @property
    def fusible(self) -> bool:
        """Whether forward passes may be fused: ``change`` treats every image for itself, so it is as behind it."""
        return getattr(self.network, "fusible", False)

    def change(self, images: Tensor) -> Tensor:
        """Return the images that the network sees, (N, C, H, W)."""
        raise NotImplementedError

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the tapped feature maps of the network behind it."""
        return features(self.network, self.change(images))

    def head(self, hidden: Tensor) -> Tensor:
        """Return the logits, (N, classes), from the last feature map."""
        return cast(Tensor, cast(Any, self.network).head(hidden))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, (N, classes)."""
        return cast(Tensor, self.network(self.change(images)))
