"""The user's own modules: which these are, and what they held and read when they were imported.

Python reuses compiled code whenever time and size of a file are those of before, so that an edited module may run as
it was. Own modules are compiled afresh in each process, and what each read while it was imported is known.
"""

import hashlib
import importlib.machinery
import importlib.util
import os
import site
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

PACKAGE = Path(__file__).parents[1]
INSTALLED = ("site-packages", "dist-packages")
SYSTEM = ("/proc", "/sys", "/dev", "/etc")

executed: dict[str, str] = {}
"""File of a module -> the digest of the content that this process runs, or of the one it was first seen with."""

read: dict[str, dict[str, str]] = {}
"""File of a module -> the own files that it opened while it was imported, with the digests of their contents then."""

_importing: list[tuple[str, dict[str, str]]] = []


@lru_cache(maxsize=4096)
def is_own(path: str) -> bool:
    """Return whether a file is the user's own; what lies in hidden folders of the home is a cache or a setting.

    >>> is_own(os.__file__), is_own(__file__)
    (False, False)
    """
    place = os.path.realpath(path)
    if any(place == folder or place.startswith(folder + os.sep) for folder in _of_others()):
        return False
    parts = Path(place).parts
    home = os.path.realpath(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() raises where there is none
    hidden = place.startswith(home + os.sep) and place[len(home) + 1 :].startswith(".")
    return not hidden and not any(name in parts for name in INSTALLED)


@lru_cache(maxsize=1)
def _of_others() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = [paths[kind] for kind in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders += [*site.getsitepackages(), os.path.dirname(os.__file__), str(PACKAGE), *SYSTEM]  # noqa: PTH120
    return tuple({os.path.realpath(folder) for folder in folders} - {os.path.realpath(sys.prefix)})


def content_digest(path: str) -> str:
    """Return the digest of a file's content, or ``absent``."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - as fast as can be, for every module of every plan
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "absent"


@contextmanager
def importing(path: str, content: bytes) -> Iterator[None]:
    """While a module of this file and content is executed, note what it reads."""
    executed[path] = hashlib.sha256(content).hexdigest()
    opened: dict[str, str] = {}
    _importing.append((path, opened))
    try:
        yield
    finally:
        _importing.pop()
        read[path] = opened


def install() -> None:
    """Import the user's own modules in this way from now on."""
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
        sys.addaudithook(_note_opened)


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code

    def exec_module(self, module: ModuleType) -> None:
        path = self.get_filename(module.__name__)
        with importing(path, self.get_data(path)):
            super().exec_module(module)


class _Finder:
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        spec = found(name, path, target)
        if spec is None or type(spec.loader) is not importlib.machinery.SourceFileLoader or not is_own(spec.origin):
            return spec
        return importlib.util.spec_from_file_location(
            name,
            spec.origin,
            loader=_Loader(name, spec.origin),
            submodule_search_locations=spec.submodule_search_locations,
        )


def found(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
    """Return what the other finders say of a module; nothing is executed."""
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        spec = None if find is None or finder is _finder else find(name, path, target)
        if spec is not None:
            return spec
    return None


_finder: Any = _Finder()


def _note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not _importing:
        return
    path, _, flags = arguments
    writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if writes or not isinstance(path, (str, bytes)) or not _asked_by(_importing[-1][0]):
        return
    place, opened = os.path.abspath(os.fsdecode(path)), _importing[-1][1]  # noqa: PTH100
    if place not in opened and not place.endswith((".py", ".pyc")) and is_own(place) and Path(place).is_file():
        opened[place] = "being read"
        opened[place] = content_digest(place)


def _asked_by(module: str) -> bool:
    """Return whether it is the module that wants a file, not a library that is being imported for it."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename == module:
            return True
        if frame.f_code.co_name == "<module>":
            return False
        frame = frame.f_back
    return False
