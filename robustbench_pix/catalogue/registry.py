"""One registry class for everything a catalogue file may name: regularizers, attacks, data sets, networks.

A reference is a registered name, ``package.module:attribute``, or ``file.py:attribute`` beside the TOML file. Names
come from a decorator, from the table of what ships, or from an entry point of another package. Nothing is imported
before a run needs it.
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

from robustbench_pix.catalogue.imported import importing, install
from robustbench_pix.catalogue.source_digest import forget, has_changed, helpers_digests, text_of
from robustbench_pix.errors import UserError, unknown
from robustbench_pix.foreign import foreign_code
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
        """Return a digest of the source behind a reference, or None for what this package ships.

        It enters the identity of a run, so that edited code is never mistaken for what was run before. It covers the
        file, every module of the user's own that this imports, and theirs, and the files that they read on import, all
        by content; see ``source_digest.py`` for what it cannot cover. Of installed packages it covers the module named.

        Raises:
            UserError: there is no such name, file or attribute, or its source is in no file.
        """
        target = self.load(reference, folder)
        place = reference.rpartition(":")[0]
        module = self._module(reference, folder) if place else sys.modules.get(getattr(target, "__module__", ""))
        if module is not None and module.__name__.split(".")[0] == HOME:
            return None
        if place.endswith(".py"):
            own = digest(_beside(place, folder).read_bytes().hex())
        else:
            own = digest(self._text(reference, module, target))
        helpers = helpers_digests(module) if module else []
        return digest([own, *helpers]) if helpers else own

    def require_source(self, reference: str, folder: Path | None, source: str | None) -> None:
        """Refuse code that was edited after it entered the identity of a job, before the job was done.

        Raises:
            UserError: the source behind a reference has another digest than this.
        """
        if self.source(reference, folder) != source:
            raise UserError(
                f"The code of the {self.kind} {reference!r} was edited while it was used; run the same command again."
            )

    def _text(self, reference: str, module: ModuleType | None, target: Any) -> str:
        with suppress(OSError, SyntaxError):
            return text_of(module)
        things: tuple[Any, ...] = (module, target)
        for thing in things:
            with suppress(OSError, TypeError):
                return inspect.getsource(thing)
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
        if place.partition(".")[0] != HOME:
            install()
        if place.endswith(".py"):
            return _module_of_file(_beside(place, folder), self.kind, reference)
        if place in sys.modules and has_changed(sys.modules[place]):
            forget(sys.modules[place])
        try:
            with foreign_code():
                return importlib.import_module(place)
        except ModuleNotFoundError as error:
            raise UserError(f"The {self.kind} {reference!r}: {error}; install it or correct the name.") from error
        except Exception as error:
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


def _module_of_file(path: Path, kind: str, reference: str) -> ModuleType:
    """Execute a file as a module, once for each content of it and of the own modules that it imports."""
    try:
        code = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"The {kind} file {path} cannot be read ({error.strerror}); it must lie beside the TOML file that names it."
        ) from error
    name = f"{FILE_MODULE}{digest([str(path.resolve()), code.hex()])}"
    if name in sys.modules and has_changed(sys.modules[name]):
        forget(sys.modules[name])
    if name not in sys.modules:
        module = sys.modules[name] = ModuleType(name)
        module.__file__, module.__package__ = str(path), ""
        try:
            with foreign_code(), importing(str(path), code):
                exec(compile(code, path, "exec"), module.__dict__)
        except Exception as error:
            del sys.modules[name]
            hint = _as_module(reference) if "relative import" in str(error) else ""
            raise UserError(
                f"The {kind} file {path} could not be imported: {type(error).__name__}: {error}{hint}."
            ) from error
    return sys.modules[name]


def _as_module(reference: str) -> str:
    """Return how a file in a package is named so that it may import relatively.

    >>> _as_module("pk/net.py:net")
    '; name it as a module, pk.net:net, from the folder above the package'
    """
    place, _, attribute = reference.rpartition(":")
    dotted = ".".join(Path(place).with_suffix("").parts[-2:])
    return f"; name it as a module, {dotted}:{attribute}, from the folder above the package"
