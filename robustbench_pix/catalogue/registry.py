"""One registry class for everything a catalogue file may name: regularizers, attacks, data sets, networks.

A reference is a registered name, ``package.module:attribute``, or ``file.py:attribute`` beside the TOML file. Names
come from a decorator, from the table of what ships, or from an entry point of another package. Nothing is imported
before a run asks for it.
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from robustbench_pix.errors import UserError, unknown
from robustbench_pix.identity import digest

Registered = TypeVar("Registered", bound=Callable[..., Any])

HOME = "robustbench_pix"
FILE_MODULE = "robustbench_pix_file_"


class Registry:
    """Names and the objects they stand for; a name is taken once.

    Args:
        kind: what is registered, in words, for error messages.
        group: the entry point group in which other packages offer theirs.
        shipped: name -> ``module:attribute`` of what this package brings.
    """

    def __init__(self, kind: str, group: str, shipped: Mapping[str, str]) -> None:
        self.kind = kind
        self.group = group
        self.shipped = dict(shipped)
        self.registered: dict[str, Any] = {}

    def register(self, name: str) -> Callable[[Registered], Registered]:
        """Return a decorator that registers a function or class under a name.

        Raises:
            UserError: the name is taken by something else.
        """

        def decorate(target: Registered) -> Registered:
            earlier = self.registered.get(name)
            same = earlier is not None and _origin(earlier) == _origin(target)
            if name in self.shipped or (earlier is not None and not same):
                raise UserError(
                    f"The {self.kind} name {name!r} is taken; register {_origin(target)} under another name."
                )
            self.registered[name] = target
            return target

        return decorate

    def names(self) -> list[str]:
        """Return every name that can be looked up, without importing what is behind it."""
        return sorted({*self.shipped, *self.registered, *self._offered()})

    def load(self, reference: str, folder: Path | None = None) -> Any:
        """Return the object behind a reference; ``folder`` is where the naming TOML file lies.

        Raises:
            UserError: there is no such name, file or attribute, or importing it failed.
        """
        if ":" in reference:
            return _attribute(self._module(reference, folder), reference, self.kind)
        if reference in self.registered:
            return self.registered[reference]
        if reference in self.shipped:
            return self.load(self.shipped[reference])
        offered = self._offered()
        if reference in offered:
            return self.load(offered[reference].value)
        raise unknown(self.kind, reference, self.names(), list_with="rbp doctor")

    def portable(self, reference: str) -> str | None:
        """Return a reference that another process can load, or None where there is none.

        What a decorator registered in a script or a notebook exists in this process only.
        """
        target = self.registered.get(reference)
        if target is None:
            return reference
        local = target.__module__ == "__main__" or target.__module__.startswith(FILE_MODULE)
        return None if local else f"{target.__module__}:{target.__qualname__}"

    def source(self, reference: str, folder: Path | None = None) -> str | None:
        """Return a digest of the source file behind a reference, or None for what this package ships.

        It enters the identity of a run, so that edited code is never mistaken for what was run before.
        """
        target = self.load(reference, folder)
        module = sys.modules.get(getattr(target, "__module__", ""))
        if module is None or module.__name__.split(".")[0] == HOME:
            return None
        try:
            text = inspect.getsource(module)
        except (OSError, TypeError):
            text = inspect.getsource(target)
        return digest(text)

    def _offered(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.group)}

    def _module(self, reference: str, folder: Path | None) -> ModuleType:
        place = reference.rpartition(":")[0]
        if place.endswith(".py"):
            return _module_of_file((folder or Path.cwd()) / place, self.kind)
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            raise UserError(f"{self.kind} {reference!r}: {error}; install it or correct the name.") from error


def _origin(target: Any) -> str:
    return f"{target.__module__}.{target.__qualname__}"


def _attribute(module: ModuleType, reference: str, kind: str) -> Any:
    name = reference.rpartition(":")[2]
    if not hasattr(module, name):
        public = [other for other in vars(module) if not other.startswith("_")]
        raise unknown(f"attribute for the {kind} {reference!r}", name, public, list_with="the module")
    return getattr(module, name)


def _module_of_file(path: Path, kind: str) -> ModuleType:
    if not path.is_file():
        raise UserError(f"The {kind} file {path} does not exist; it must lie beside the TOML file that names it.")
    name = f"{FILE_MODULE}{digest([str(path.resolve()), path.read_text()])}"
    if name not in sys.modules:
        specification = importlib.util.spec_from_file_location(name, path)
        if specification is None or specification.loader is None:
            raise UserError(f"The {kind} file {path} is no Python file.")
        module = importlib.util.module_from_spec(specification)
        sys.modules[name] = module
        try:
            specification.loader.exec_module(module)
        except Exception as error:
            del sys.modules[name]
            raise UserError(
                f"The {kind} file {path} could not be imported: {type(error).__name__}: {error}."
            ) from error
    return sys.modules[name]
