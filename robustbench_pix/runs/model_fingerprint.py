"""What tells one model from another: its code, its weights, and its answers to fixed images.

The bits of float32 answers, computed on one thread, are the same on one machine with one version of torch, however many
threads, workers or batches an evaluation has. Another processor may round them otherwise, and the model then counts as
another; where a kept model is built again, its answers are compared to rounding there.
"""

import hashlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from robustbench_pix.catalogue.imported import content_digest, is_own
from robustbench_pix.catalogue.registry import HOME, Registry
from robustbench_pix.catalogue.source_digest import helpers_digests
from robustbench_pix.devices import arithmetic
from robustbench_pix.identity import DIGEST_LENGTH, canonical_json, digest
from robustbench_pix.randomness import global_streams, stream
from robustbench_pix.runs.request import EXTERNAL_SEED

QUERIED = 8
"""Test images with which a model is queried before anything is attacked, beside as many images of noise."""

MODELS = Registry("model", "robustbench_pix.given", {})
"""Looks references to external models up."""

LIBRARIES = {"torch", HOME, *sys.stdlib_module_names}
"""Packages whose code is identified by the versions in every row, and Python's own."""

ROUNDING = 1e-3
"""Share of the largest logit by which answers may differ that should be the same."""


def fixed_queries(images: Tensor) -> Tensor:
    """Return the first test images and as many images of fixed noise, uint8 (N, C, H, W)."""
    first = images[:QUERIED].cpu()
    noise = stream("questions").integers(0, 256, (QUERIED, *first.shape[1:]), dtype="uint8")
    return torch.cat([first, torch.from_numpy(noise)])


@torch.no_grad()
def answers(network: nn.Module, queries: Tensor, device: str = "cpu") -> Tensor:
    """Return what a network answers to uint8 images (N, C, H, W), float32 (N, classes) on the CPU.

    It computes on one thread, from the same random state each time; afterwards it is on the CPU.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with global_streams("answers", EXTERNAL_SEED), arithmetic("float32"):
            network = network.to(device)
            found = torch.cat([network(images.to(device).float() / 255) for images in queries.split(QUERIED)])
    finally:
        torch.set_num_threads(threads)
        network.to("cpu")
    return found.detach().to("cpu", torch.float32).contiguous()


def answers_digest(found: Tensor) -> str:
    """Return the digest of answers, to the bit."""
    return hashlib.sha256(found.numpy().tobytes()).hexdigest()[:DIGEST_LENGTH]


def agree(found: Tensor, kept: Tensor, *, to_the_bit: bool) -> bool:
    """Return whether answers are those that were kept."""
    if to_the_bit or found.shape != kept.shape:
        return found.shape == kept.shape and answers_digest(found) == answers_digest(kept)
    return torch.allclose(found, kept, rtol=0, atol=ROUNDING * float(kept.nan_to_num().abs().max()), equal_nan=True)


def kept_state(network: nn.Module) -> dict[str, Tensor] | None:
    """Return weights and buffers, each with memory of its own, or None where safetensors cannot keep all of them.

    So it is with what is no tensor, such as packed weights of 8 bits, and with sparse tensors.
    """
    try:
        state = {
            name: value.clone(memory_format=torch.contiguous_format) for name, value in network.state_dict().items()
        }
        save({name: value.flatten()[:1] for name, value in state.items()})
    except Exception:  # Modules may put anything into their state, and raise anything.
        return None
    return state


def state_digest(state: dict[str, Tensor] | None) -> str | None:
    """Return a digest of weights, the same whatever kind of file they came from; None where there are none to keep."""
    if not state:
        return None
    content = hashlib.sha256()
    for name, value in sorted(state.items()):
        content.update(canonical_json([name, str(value.dtype), list(value.shape)]).encode())
        content.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return content.hexdigest()[:DIGEST_LENGTH]


def hidden_module(network: nn.Module) -> str | None:
    """Return where a network keeps a module that torch does not know to be part of it, such as in a list, or None.

    ``eval()``, ``to(device)`` and ``state_dict()`` pass such a module over.
    """
    known = set(network.modules())
    for path, module in network.named_modules():
        for name, value in vars(module).items():
            if name in ("_modules", "_parameters", "_buffers"):
                continue
            for place, inner in _modules_in(value, name, set()):
                if not known.issuperset(inner.modules()):
                    return f"{path}.{place}".lstrip(".")
    return None


def _modules_in(value: Any, place: str, seen: set[int]) -> Iterator[tuple[str, nn.Module]]:
    if isinstance(value, nn.Module):
        yield place, value
    elif isinstance(value, (Mapping, list, tuple, set, frozenset)) and id(value) not in seen:
        seen.add(id(value))
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, inner in items:
            yield from _modules_in(inner, f"{place}[{key!r}]", seen)
    elif isinstance(getattr(value, "__self__", None), nn.Module):  # A method of a module.
        yield place, value.__self__


def code_digests(reference: str, folder: Path, network: nn.Module) -> tuple[str, ...]:
    """Return digests of the source behind a reference and behind all classes of a network's modules, sorted.

    The function that builds a network often lies elsewhere than the classes that compute. What own modules import is
    covered; of an installed package its version counts beside the files of the classes.
    """
    sources = {MODELS.source(reference, folder)}
    names = {kind.__module__ for module in network.modules() for kind in type(module).__mro__}
    names |= {reference.rpartition(":")[0]} - {""}
    for name in names - {name for name in names if name.partition(".")[0] in LIBRARIES}:
        module = sys.modules.get(name)
        place = getattr(module, "__file__", None)
        if module is not None and place is not None and is_own(place):
            sources.update([content_digest(place), *helpers_digests(module)])
        elif module is not None:
            with suppress(OSError, TypeError):
                sources.add(digest(inspect.getsource(module)))
            sources.add(_release(name.partition(".")[0]))
    return tuple(sorted(source for source in sources if source is not None))


def _release(package: str) -> str | None:
    """Return the name and version of an installed package, or None for code that is in none."""
    with suppress(PackageNotFoundError):
        return f"{package} {version(package)}"
    return None
