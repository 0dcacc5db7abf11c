"""One registry class for everything a catalogue file may name: regularizers, attacks, data sets, networks.

A reference is a registered name, ``package.module:attribute``, or ``file.py:attribute`` beside the TOML file. Names
come from a decorator, from the table of what ships, or from an entry point of another package. Nothing is imported
before a run asks for it.
"""

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
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
        raise unknown(self.kind, reference, self.names())

    def portable(self, reference: str) -> str | None:
        """Return a reference that another process can load, or None where there is none.

        What a decorator registered in a script or a notebook exists in this process only.
        """
        target = self.registered.get(reference)
        if target is None:
            return reference
        module, name = target.__module__, target.__qualname__
        importable = module != "__main__" and not module.startswith(FILE_MODULE)
        found = importable and getattr(sys.modules.get(module), name, None) is target
        return f"{module}:{name}" if found else None

    def source(self, reference: str, folder: Path | None = None) -> str | None:
        """Return a digest of the source file behind a reference, or None for what this package ships.

        It enters the identity of a run, so that edited code is never mistaken for what was run before.

        Raises:
            UserError: there is no such name, file or attribute, or its source is in no file.
        """
        target = self.load(reference, folder)
        place = reference.rpartition(":")[0]
        if place.endswith(".py"):
            return digest(_beside(place, folder).read_bytes().hex())
        module = self._module(reference, folder) if place else sys.modules.get(getattr(target, "__module__", ""))
        if module is None or module.__name__.split(".")[0] == HOME:
            return None
        for thing in (module, target):
            with suppress(OSError, TypeError):
                return digest(inspect.getsource(thing))
        raise UserError(f"The source of the {self.kind} {reference!r} is in no file; write it into one and run that.")

    def _offered(self) -> dict[str, EntryPoint]:
        offered: dict[str, EntryPoint] = {}
        for point in entry_points(group=self.group):
            if point.name in self.shipped or offered.get(point.name, point).value != point.value:
                raise UserError(f"The {self.kind} name {point.name!r} of {point.value} is taken; one of both must go.")
            offered[point.name] = point
        return offered

    def _module(self, reference: str, folder: Path | None) -> ModuleType:
        place = reference.rpartition(":")[0]
        if place.endswith(".py"):
            return _module_of_file(_beside(place, folder), self.kind)
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            raise UserError(f"The {self.kind} {reference!r}: {error}; install it or correct the name.") from error
        except (Exception, SystemExit) as error:
            raise UserError(
                f"The {self.kind} {reference!r} could not be imported: {type(error).__name__}: {error}."
            ) from error


def _origin(target: Any) -> str:
    return f"{target.__module__}.{target.__qualname__}"


def _attribute(module: ModuleType, reference: str, kind: str) -> Any:
    name = reference.rpartition(":")[2]
    if not hasattr(module, name):
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        raise unknown(f"attribute for the {kind} {reference!r}", name, own)
    return getattr(module, name)


def _beside(place: str, folder: Path | None) -> Path:
    return (folder or Path.cwd()) / place


def _module_of_file(path: Path, kind: str) -> ModuleType:
    """Execute a file as a module, once for each content; without a bytecode cache, which may be of an older content."""
    try:
        code = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"The {kind} file {path} cannot be read ({error.strerror}); it must lie beside the TOML file that names it."
        ) from error
    name = f"{FILE_MODULE}{digest([str(path.resolve()), code.hex()])}"
    if name not in sys.modules:
        module = sys.modules[name] = ModuleType(name)
        module.__file__ = str(path)
        try:
            exec(compile(code, path, "exec"), module.__dict__)
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            raise UserError(
                f"The {kind} file {path} could not be imported: {type(error).__name__}: {error}."
            ) from error
    return sys.modules[name]
