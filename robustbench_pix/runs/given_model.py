"""The job ``given``: somebody else's model, asked a few questions, named by its code and weights, and kept."""

import hashlib
import inspect
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from robustbench_pix.catalogue.registry import HOME, Registry
from robustbench_pix.data.base import ImageData
from robustbench_pix.devices import arithmetic
from robustbench_pix.errors import UserError
from robustbench_pix.identity import DIGEST_LENGTH, canonical_json, digest
from robustbench_pix.networks.inference import AsItIs
from robustbench_pix.networks.resnet import ResNet
from robustbench_pix.networks.weights import fit_weights, read_weights
from robustbench_pix.randomness import global_streams
from robustbench_pix.runs.description import described
from robustbench_pix.runs.jobs import Job
from robustbench_pix.runs.request import GIVEN_SEED, GivenModel
from robustbench_pix.runs.store import WEIGHTS, Store

ASKED = 8
"""Test images about which a model is asked before anything is attacked."""

ROUNDING = 1e-3
"""Share of the largest logit by which answers may differ that should be the same."""

LIBRARIES = {"torch", HOME, *sys.stdlib_module_names}
"""Packages whose code is named by the versions in every row, and Python's own."""

_models = Registry("model", "robustbench_pix.given", {})


class Found(NamedTuple):
    """A given model on the CPU, what identifies it whatever the task, and what a reader must know of it."""

    network: nn.Module
    identity: dict[str, Any]
    remark: str


def find(given: GivenModel, data: ImageData, device: str) -> Found:
    """Build a given model, load its weights, and ask it about a few test images on the device.

    Raises:
        UserError: it cannot be built, its weights do not fit, or it does not return finite logits for these images.
    """
    network = _built(given.reference, given.folder)
    if given.weights is not None:
        fit_weights(network, read_weights(given.weights), given.weights)
    assert data.test_images is not None
    images = data.test_images[:ASKED].float() / 255
    with global_streams("asking", GIVEN_SEED), arithmetic("float32"):
        warnings = _asked(_to_ask(network).eval().to(device), images.to(device), data.classes, given.label)
    state = _state(network.to("cpu"), given.label)
    place, _, attribute = given.reference.rpartition(":")
    identity = {
        "model": attribute if place.endswith(".py") else given.reference,
        "code": _code(given.reference, given.folder, network),
        "weights": _digest_of(state),
    }
    facts = [given.label, f"weights {identity['weights'][:8]}", "not paired with trained seeds", *warnings]
    return Found(network, identity, f"given: {', '.join(facts)}")


def keep(job: Job, network: nn.Module, store: Store) -> None:
    """Put a given model into the store, so that its row outlives the file that its weights came from."""
    spec, began = described(job, "cpu"), time.monotonic()
    with store.writing(job.name, spec) as scratch:
        (scratch / WEIGHTS).write_bytes(save(_state(network, job.title)))
        spec["seconds"] = round(time.monotonic() - began, 3)


def rebuilt(folder: Path, spec: dict[str, Any]) -> nn.Module:
    """Return the given model of a run folder, on the CPU, in eval mode.

    Raises:
        UserError: its code is not there any more, or is not what it was when the model was given.
    """
    reference, place = spec["context"]["reference"], Path(spec["context"]["folder"])
    network = _built(reference, place)
    if _code(reference, place, network) != spec["identity"]["code"]:
        raise UserError(f"The code of {reference} has changed since {folder} was made; run rbp evaluate again.")
    network.load_state_dict(load_file(folder / WEIGHTS))
    return _to_ask(network).eval()


def _built(reference: str, folder: Path) -> nn.Module:
    """Call a reference; what it draws is always the same. It may import what lies beside it and in the folder."""
    place = reference.rpartition(":")[0]
    for path in {str((folder / place).parent) if place.endswith(".py") else str(folder), str(folder)}:
        if path not in sys.path:
            sys.path.insert(0, path)
    build = _models.load(reference, folder)
    try:
        with global_streams("initialization", GIVEN_SEED):
            network = build()
    except Exception as error:
        raise UserError(f"{reference} could not be called without arguments: {_line(error)}.") from error
    if not isinstance(network, nn.Module):
        raise UserError(f"{reference} must return a torch.nn.Module (got {type(network).__name__}).")
    return network.eval()


def _to_ask(network: nn.Module) -> nn.Module:
    """Return a network in the form in which it is attacked: one of ours as a trained one is, any other as it is."""
    return network if type(network) is ResNet else AsItIs(network)


@torch.no_grad()
def _asked(network: nn.Module, images: Tensor, classes: int, label: str) -> list[str]:
    """Ask a model twice and about one image alone; return what a reader must know."""
    given = images.clone()
    try:
        first, again, alone = network(given), network(given), network(given[:1])
    except Exception as error:
        raise UserError(f"{label} refused images of shape {tuple(images.shape)} in [0, 1]: {_line(error)}.") from error
    if first.shape != (len(images), classes):
        raise UserError(
            f"{label} returned a tensor of shape {tuple(first.shape)} for {len(images)} images; "
            f"logits of shape {(len(images), classes)} are expected."
        )
    if not bool(first.isfinite().all()):
        raise UserError(f"{label} returned logits that are not finite.")
    if not torch.equal(given, images):
        raise UserError(f"{label} writes into the images that it is given; let it work on a copy.")
    if any(module.training for module in network.modules()):
        raise UserError(f"{label} goes back into training mode when it is asked; it is judged in eval mode.")
    if _differ(first, again):
        return ["randomized: its outputs change when it is asked twice"]
    return ["its outputs depend on the other images of a batch"] if _differ(first[:1], alone) else []


def _differ(first: Tensor, other: Tensor) -> bool:
    return bool((first - other).abs().max() > ROUNDING * first.abs().max())


def _state(network: nn.Module, label: str) -> dict[str, Tensor]:
    """Return the weights and buffers of a network, each with memory of its own, as safetensors wants them."""
    state = network.state_dict()
    other = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if other:
        raise UserError(f"The state of {label} holds more than tensors: {', '.join(other[:3])}; it cannot be kept.")
    return {name: value.clone(memory_format=torch.contiguous_format) for name, value in state.items()}


def _digest_of(state: dict[str, Tensor]) -> str:
    """Return a digest of weights: the same whatever kind of file they came from."""
    content = hashlib.sha256()
    for name, value in sorted(state.items()):
        content.update(canonical_json([name, str(value.dtype), list(value.shape)]).encode())
        content.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return content.hexdigest()[:DIGEST_LENGTH]


def _code(reference: str, folder: Path, network: nn.Module) -> list[str]:
    """Return digests of the source behind a reference and behind all classes of a network's modules, sorted.

    The function that builds a network often lies elsewhere than the classes that compute.
    """
    sources = {_models.source(reference, folder)}
    for name in {kind.__module__ for module in network.modules() for kind in type(module).__mro__}:
        if name.partition(".")[0] not in LIBRARIES:
            with suppress(OSError, TypeError, KeyError):
                sources.add(digest(inspect.getsource(sys.modules[name])))
    return sorted(source for source in sources if source is not None)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split()).rstrip('.')}"
