"""External models: built, queried with a few images, identified by code, weights and answers, and stored."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from robustbench_pix.data.base import ImageData
from robustbench_pix.devices import arithmetic
from robustbench_pix.errors import UserError
from robustbench_pix.foreign import foreign_code
from robustbench_pix.networks.inference import OpaqueModel
from robustbench_pix.networks.resnet import ResNet
from robustbench_pix.networks.weights import fit_weights, read_weights
from robustbench_pix.randomness import global_streams
from robustbench_pix.runs.identities import ExternalIdentity
from robustbench_pix.runs.job import ExternalJob, Job
from robustbench_pix.runs.manifest import made_here, rounding_of_here
from robustbench_pix.runs.model_fingerprint import (
    MODELS,
    QUERIED,
    ROUNDING,
    agree,
    answers,
    answers_digest,
    code_digests,
    fixed_queries,
    hidden_module,
    kept_state,
    state_digest,
)
from robustbench_pix.runs.request import EXTERNAL_SEED, ExternalModel
from robustbench_pix.runs.store import WEIGHTS, Store

T = TypeVar("T")

QUERIES = "asked.safetensors"
"""The fixed images with which a model was queried, and its answers."""

PROBABILITY_ROUNDING = 1e-3


class ExaminedModel(NamedTuple):
    """An external model on the CPU, what identifies it, and what a reader must know of it.

    ``state`` is what of it can be kept, None where that is not all of it; ``queries`` are fixed images and its answers,
    and ``device`` is the kind of device on which these were computed.
    """

    network: nn.Module
    identity: ExternalIdentity
    remark: str
    state: dict[str, Tensor] | None
    queries: dict[str, Tensor]
    device: str


def examine(model: ExternalModel, data: ImageData, device: str) -> ExaminedModel:
    """Build an external model, load its weights, and query it with a few test images on the device.

    Raises:
        UserError: it cannot be built, its weights do not fit, it does not return finite logits for these images, or
            nothing says which model it is.
    """
    network = _fitted(model)
    assert data.test_images is not None
    queries, images = fixed_queries(data.test_images), data.test_images[:QUERIED].float() / 255
    first = _answers_or_none(network, queries, "cpu")
    with global_streams("asking", EXTERNAL_SEED), arithmetic("float32"):
        placed = _guarded(lambda: _as_attacked(network).eval().to(device), model.label, f"cannot be put on {device}")
        warnings = _queried(placed, images.to(device), data.classes, model.label)
    kind = "cpu" if first is not None else torch.device(device).type
    found = first
    if found is None:
        other = _as_attacked(_fitted(model)).eval()
        found = _guarded(lambda: answers(other, queries, kind), model.label, "cannot classify test images and noise")
    again = _answers_or_none(network, queries, kind)
    if again is None or not agree(again, found, to_the_bit=True):  # It may draw from a generator of its own.
        again = _answers_or_none(_fitted(model), queries, kind)
    repeats = again is not None and agree(again, found, to_the_bit=True)
    network.to("cpu")
    state = kept_state(network)
    weights = state_digest(state)
    if not repeats and weights is None:
        raise UserError(
            f"{model.label} has no weights in its state and answers otherwise each time it is built, so that nothing "
            "says which model it is; put its weights into parameters or seed what it draws."
        )
    if state is None and model.weights is not None:
        raise UserError(
            f"The state of {model.label} holds more than tensors, so --weights cannot be kept; let it load its weights."
        )
    place, _, attribute = model.reference.rpartition(":")
    identity = ExternalIdentity(
        model=attribute if place.endswith(".py") else model.reference,
        code=code_digests(model.reference, model.folder, network),
        weights=weights,
        answers=answers_digest(found) if repeats else None,
        dataset=data.digest,
    )
    of_weights = "no weights in its state" if state == {} else "weights that cannot be kept"
    facts = [
        model.label,
        f"weights {weights[:8]}" if weights else of_weights,
        "not paired with trained seeds",
        *warnings,
    ]
    kept = {"images": queries, "answers": found}
    return ExaminedModel(network, identity, f"given: {', '.join(facts)}", state, kept, kind)


def keep(job: Job, examined: ExaminedModel, store: Store) -> None:
    """Put an external model into the store, so that its row outlives the file that its weights came from."""
    spec, began = {**job.manifest, **made_here("cpu")}, time.monotonic()
    with store.writing(job.name, spec) as scratch:
        (scratch / WEIGHTS).write_bytes(save(examined.state or {}))
        (scratch / QUERIES).write_bytes(save(examined.queries))
        spec["asked_on"] = examined.device
        spec["seconds"] = round(time.monotonic() - began, 3)


def rebuilt(folder: Path, job: ExternalJob, spec: dict[str, Any]) -> nn.Module:
    """Return the external model of a run folder, on the CPU, in eval mode; ``spec`` is its manifest.

    Raises:
        UserError: its code is not there any more, or code or answers are not what they were when it was stored.
    """
    reference, place, identity = job.context.reference, job.context.folder, job.identity
    network = _built(reference, place)
    if code_digests(reference, place, network) != identity.code:
        raise UserError(f"The code of {reference} has changed since {folder} was made; run rbp evaluate again.")
    if identity.weights is not None:
        network.load_state_dict(load_file(folder / WEIGHTS))
    if identity.answers is not None:
        _require_its_answers(network, folder, reference, spec)
    return _as_attacked(network).eval()


def _require_its_answers(network: nn.Module, folder: Path, reference: str, spec: dict[str, Any]) -> None:
    """Refuse a model that answers otherwise than the one that was stored; on another machine rounding may differ."""
    kept = load_file(folder / QUERIES)
    same_machine = all(spec[name] == value for name, value in rounding_of_here().items())
    found = _answers_or_none(network, kept["images"], spec["asked_on"])
    if found is None or not agree(found, kept["answers"], to_the_bit=same_machine):
        raise UserError(
            f"{reference} does not answer as it did when {folder} was made, although its code is "
            "the same: a file, a setting or the environment has changed; run rbp evaluate again."
        )


def _fitted(model: ExternalModel) -> nn.Module:
    """Return an external model with its weights, checked for what no answer shows.

    Raises:
        UserError: it cannot be built, its weights do not fit, or it hides modules where ``eval()`` does not reach them.
    """
    network = _built(model.reference, model.folder)
    file = model.weights
    if file is not None:
        _guarded(lambda: fit_weights(network, read_weights(file), file), model.label, "cannot take weights")
    hidden = hidden_module(network)
    if hidden is not None:
        raise UserError(
            f"{model.label} keeps a module in {hidden}, where eval(), to(device) and state_dict() do not reach it; "
            "make it an attribute of its own or put it into a torch.nn.ModuleList."
        )
    meta = next(
        (name for name, value in (*network.named_parameters(), *network.named_buffers()) if value.is_meta), None
    )
    if meta is not None:
        raise UserError(f"{model.label} has no values for {meta}, which is on device meta; load its weights first.")
    return network


def _answers_or_none(network: nn.Module, queries: Tensor, device: str) -> Tensor | None:
    """Return a network's answers, or None where it gives none; why is found when it is queried on its device."""
    try:
        with foreign_code():
            return answers(_as_attacked(network).eval(), queries, device)
    except Exception:
        return None


def _guarded(call: Callable[[], T], label: str, failed: str) -> T:
    """Call a function that runs code of others; what it raises becomes one sentence."""
    try:
        with foreign_code():
            return call()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{label} {failed}: {_line(error)}.") from error


def _built(reference: str, folder: Path) -> nn.Module:
    """Call a reference; what it draws is always the same. It may import what lies beside it and in the folder."""
    place = reference.rpartition(":")[0]
    for path in {str((folder / place).parent) if place.endswith(".py") else str(folder), str(folder)}:
        if path not in sys.path:
            sys.path.append(path)
    build = MODELS.load(reference, folder)
    try:
        with global_streams("initialization", EXTERNAL_SEED), foreign_code():
            network = build()
    except Exception as error:
        raise UserError(f"{reference} could not be called without arguments: {_line(error)}.") from error
    if not isinstance(network, nn.Module):
        raise UserError(f"{reference} must return a torch.nn.Module (got {type(network).__name__}).")
    return _guarded(network.eval, reference, "cannot be put into eval mode, in which models are judged")


def _as_attacked(network: nn.Module) -> nn.Module:
    """Return a network in the form in which it is attacked: one of ours as a trained one is, any other as it is."""
    return network if type(network) is ResNet else OpaqueModel(network)


@torch.no_grad()
def _queried(network: nn.Module, images: Tensor, classes: int, label: str) -> list[str]:
    """Query a model twice and with one image alone; return what a reader must know."""
    handed_over = images.clone()
    try:
        with foreign_code():
            first, again, alone = network(handed_over), network(handed_over), network(handed_over[:1])
    except Exception as error:
        hint = _colour_hint(network, images)
        shape = tuple(images.shape)
        raise UserError(f"{label} refused images of shape {shape} in [0, 1]: {_line(error)}{hint}.") from error
    if first.shape != (len(images), classes):
        raise UserError(
            f"{label} returned a tensor of shape {tuple(first.shape)} for {len(images)} images; "
            f"logits of shape {(len(images), classes)} are expected."
        )
    if not bool(first.isfinite().all()):
        raise UserError(f"{label} returned logits that are not finite.")
    if not torch.equal(handed_over, images):
        raise UserError(f"{label} writes into its input images; let it work on a copy.")
    if any(module.training for module in network.modules()):
        raise UserError(f"{label} goes back into training mode when it is called; it is judged in eval mode.")
    facts = ["probabilities, not logits: gradients may vanish"] if _are_probabilities(first) else []
    if _differ(first, again):
        return ["randomized: repeated queries give different outputs", *facts]
    return [*(["its outputs depend on the other images of a batch"] if _differ(first[:1], alone) else []), *facts]


def _colour_hint(network: nn.Module, images: Tensor) -> str:
    """Return how to have images of the other number of channels, where these are what a model takes."""
    gray = images.shape[1] == 1
    with suppress(Exception), foreign_code():
        network(images.repeat(1, 3, 1, 1) if gray else images.mean(dim=1, keepdim=True))
        return f"; it takes images of {'3 channels: give --colour rgb' if gray else '1 channel: give --colour gray'}"
    return ""


def _are_probabilities(outputs: Tensor) -> bool:
    return bool((outputs >= 0).all()) and bool(((outputs.sum(dim=1) - 1).abs() < PROBABILITY_ROUNDING).all())


def _differ(first: Tensor, other: Tensor) -> bool:
    return bool((first - other).abs().max() > ROUNDING * first.abs().max())


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split()).rstrip('.')}"
