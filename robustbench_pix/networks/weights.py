"""Weights from a file of somebody else: read without running code of it, and fitted to a network by name."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from robustbench_pix.errors import UserError

NESTED_IN = ("state_dict", "model")
"""Keys of a checkpoint under which the state dict may lie."""

WRAPPERS = ("module.", "_orig_mod.")
"""Prefixes that DataParallel and torch.compile put before every name."""

NAMED_AT_MOST = 3
MEND = "save the state dict alone, torch.save(model.state_dict(), FILE), or as safetensors"


def read_weights(path: Path) -> dict[str, Any]:
    """Return the state dict of a safetensors file, or of any other file as torch saves them; on the CPU.

    Raises:
        UserError: the file cannot be read, wants to run code when it is read, or holds no state dict.
    """
    loaded = _safetensors(path) if path.suffix == ".safetensors" else _torch_file(path)
    for name in NESTED_IN:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(name), Mapping):
            loaded = loaded[name]
    if not isinstance(loaded, Mapping) or not any(isinstance(value, Tensor) for value in loaded.values()):
        raise UserError(f"{path} holds no state dict; {MEND}.")
    return dict(loaded)


def fit_weights(network: nn.Module, weights: dict[str, Any], path: Path) -> None:
    """Load a state dict into a network; a wrapper's prefix is taken off where the network does not know the name.

    Raises:
        UserError: names or shapes differ; up to three of each are named.
    """
    expected = network.state_dict()
    fitted: dict[str, Any] = {}
    for name, value in weights.items():
        plain = _unwrapped(name, expected)
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


def _safetensors(path: Path) -> Any:
    try:
        return load_file(path)
    except Exception as error:  # The library raises errors of its own, of the system, and KeyError.
        raise UserError(f"{path} cannot be read as safetensors: {str(error).rstrip('. ')}.") from error


def _torch_file(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
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
