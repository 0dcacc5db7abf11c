"""Weights from an external file: read without running its code, and matched to a network by name."""

import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from robustbench_pix.errors import UserError

NESTED_IN = ("state_dict", "model_state_dict", "model_state", "model", "net")
"""Keys of a checkpoint under which the state dict may be nested."""

WRAPPERS = ("module.", "_orig_mod.", "model.", "net.")
"""Prefixes that DataParallel, torch.compile and a Lightning module's attribute put before every name."""

PROFILED = ("total_ops", "total_params")
"""Buffers that a FLOP profiler leaves in every module."""

SAFETENSORS_HEADER_BYTES = 8

NAMED_AT_MOST = 3
NUMPY_SCALAR = np.float64(0).__reduce__()[0]
NUMPY_NUMBERS: list[Any] = [
    NUMPY_SCALAR,
    (NUMPY_SCALAR, "numpy.core.multiarray.scalar"),  # as numpy 1 wrote it
    (NUMPY_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    *{type(np.dtype(kind)) for kind in np.typecodes["AllInteger"] + np.typecodes["AllFloat"] + "?"},
]
"""Safe globals to read numpy numbers stored beside the weights, such as the best accuracy; none of them runs code."""

MEND = "save the state dict alone, torch.save(model.state_dict(), FILE), or as safetensors"


def read_weights(path: Path) -> dict[str, Any]:
    """Return the state dict of a safetensors file, or of any other file as torch saves them; on the CPU.

    Raises:
        UserError: the file cannot be read, wants to run code when it is read, or holds no state dict.
    """
    loaded = _safetensors(path) if _is_safetensors(path) else _torch_file(path)
    for _ in NESTED_IN:  # A dictionary may hold itself.
        if isinstance(loaded, Mapping):
            loaded = next((loaded[name] for name in NESTED_IN if isinstance(loaded.get(name), Mapping)), loaded)
    if not isinstance(loaded, Mapping) or not any(isinstance(value, Tensor) for value in loaded.values()):
        raise UserError(f"{path} holds no state dict; {MEND}.")
    return dict(loaded)


def fit_weights(network: nn.Module, weights: dict[str, Any], path: Path) -> None:
    """Load a state dict into a network; a wrapper's prefix is removed where the network does not have the name.

    Raises:
        UserError: names or shapes differ; up to three of each are named.
    """
    expected = network.state_dict()
    fitted: dict[str, Any] = {}
    for name, value in weights.items():
        plain = _unwrapped(name, expected)
        if plain not in expected and name.rpartition(".")[2] in PROFILED:
            continue
        fitted[plain if plain not in weights else name] = value
    wrong = [
        f"{name} {tuple(value.shape)} instead of {tuple(expected[name].shape)}"
        for name, value in fitted.items()
        if isinstance(value, Tensor) and isinstance(expected.get(name), Tensor) and value.shape != expected[name].shape
    ]
    if wrong:
        raise UserError(f"{path} does not fit the model: {_some('of another shape', wrong)}.")
    tensors = {name: value for name, value in fitted.items() if isinstance(value, Tensor)}
    missing, unexpected = network.load_state_dict(tensors, strict=False)
    unexpected = [*unexpected, *(name for name in fitted if name not in tensors)]
    if missing or unexpected:
        found = [_some(what, names) for what, names in (("missing", missing), ("unexpected", unexpected)) if names]
        raise UserError(f"{path} does not fit the model: {'; '.join(found)}.")


def _unwrapped(name: str, expected: Mapping[str, Any]) -> str:
    """Return a name without the prefixes of wrappers.

    >>> _unwrapped("module._orig_mod.weight", {"weight": 0}), _unwrapped("module.weight", {"module.weight": 0})
    ('weight', 'module.weight')
    """
    plain = name
    while plain not in expected:
        prefix = next((prefix for prefix in WRAPPERS if plain.startswith(prefix)), None)
        if prefix is None:
            return name
        plain = plain.removeprefix(prefix)
    return plain


def _some(what: str, names: list[str]) -> str:
    """Return the first few names.

    >>> _some("missing", ["a", "b", "c", "d"])
    'missing a, b, c and 1 more'
    """
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return f"{what} {', '.join(names[:NAMED_AT_MOST])}{more}"


def _is_safetensors(path: Path) -> bool:
    """Return whether a file is safetensors by its suffix, or by its beginning: the length of a header, then JSON."""
    if path.suffix == ".safetensors":
        return True
    with suppress(OSError), path.open("rb") as file:
        return file.read(SAFETENSORS_HEADER_BYTES + 1)[SAFETENSORS_HEADER_BYTES:] == b"{"
    return False


def _safetensors(path: Path) -> Any:
    try:
        return load_file(path)
    except Exception as error:  # The library raises its own errors, system errors and KeyError.
        raise UserError(f"{path} cannot be read as safetensors: {str(error).rstrip('. ')}.") from error


def _torch_file(path: Path) -> Any:
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(NUMPY_NUMBERS):
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # A file that is none of torch's raises whatever its bytes lead to.
        if "TorchScript" in str(error):
            raise UserError(f"{path} is a TorchScript archive, which holds code; {MEND}.") from error
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        if wanted:
            raise UserError(f"{path} was refused: to be read it would run code, {wanted[1]}; {MEND}.") from error
        # What torch says here would advise to read the file without this protection.
        raise UserError(f"{path} is no file of weights that can be read without running code; {MEND}.") from error
