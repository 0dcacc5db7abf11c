"""The target ``random-network``: similarities in an untrained network of the task's kind.

A control of the neural target (Li et al. 2019 took a layer of a trained VGG19). Its weights are the same for every
seed of a model.
"""

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor, nn

from robustbench_pix.networks.building import features
from robustbench_pix.randomness import key_integer
from robustbench_pix.regularizers.similarity import centred_cosines

BATCH = 256


def random_network(untrained: Callable[[int], nn.Module]) -> nn.Module:
    """Return the network of this target, in eval mode, from a function that returns the network of a seed."""
    return untrained(key_integer("random-network", bits=32)).eval()


def weights_digest(network: nn.Module) -> str:
    """Return a digest of the weights of a network on the CPU."""
    content = hashlib.sha256()
    for name, value in network.state_dict().items():
        content.update(name.encode() + value.numpy().tobytes())
    return content.hexdigest()


def random_network_similarity(network: nn.Module, images: Tensor) -> Tensor:
    """Return the mean over layers of the cosine similarities of feature maps minus the mean map of all images.

    Without centring, maps after a ReLU are all similar.

    Args:
        network: in eval mode, with ``features``.
        images: uint8 (N, C, H, W).

    Returns:
        (N, N), float64, in [-1, 1].
    """
    with torch.no_grad():
        layers = len(features(network, images[:1].float() / 255))
        # One layer at a time, since all layers of 5,000 images would take gigabytes.
        similarities = [centred_cosines(_maps(network, images, layer)) for layer in range(layers)]
    return torch.stack(similarities).mean(dim=0)


def _maps(network: nn.Module, images: Tensor, layer: int) -> Tensor:
    """Return the flattened feature maps of a layer, (N, units)."""
    batches = (features(network, batch.float() / 255)[layer] for batch in images.split(BATCH))
    return torch.cat([maps.flatten(1) for maps in batches])
