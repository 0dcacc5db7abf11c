"""The digest of own code: of a module, of every own module that it imports, and of the files that these read then.

Imports are read out of the source, wherever they stand in it, so that the same code has the same digest whatever was
imported before. Three things are not known: an import whose name is computed, a file that is read later than on
import, and one that a library reads in compiled code (safetensors, pyarrow). Name such a file by a parameter
(``file_parameters``).
"""

import ast
import importlib.machinery
import sys
import tokenize
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from robustbench_pix.catalogue.imported import content_digest, executed, found, is_own, read

Imports = tuple[tuple[str, int], ...]
"""Names of modules with how many packages up they are looked for; a name may also be an attribute of a module."""


def own_modules(module: ModuleType) -> dict[str, str]:
    """Return the own modules that a module imports, itself included, and theirs: files by the names of modules."""
    modules: dict[str, str] = {}
    waiting = list(_absolute(((module.__name__, 0),), ""))
    while waiting:
        name = waiting.pop()
        place = None if name in modules else _place(name)
        if place is not None:
            modules[name] = place
            is_package = Path(place).name.startswith("__init__.")
            waiting += _absolute(_imports_of(place, content_digest(place)), name if is_package else _above(name))
    return modules


def _above(name: str) -> str:
    return name.rpartition(".")[0]


def text_of(module: ModuleType | None) -> str:
    """Return the text of an own module's file as it is now, whatever is cached of it.

    Raises:
        OSError: there is no such file, or it is not the user's own.
    """
    place = getattr(module, "__file__", None)
    if place is None or not is_own(place):
        raise OSError("no file of the user's own")
    with tokenize.open(place) as file:
        text = file.read()
    return text if text.endswith("\n") or not text else text + "\n"


def helpers_digests(module: ModuleType) -> list[str]:
    """Return the digests of the contents of what a module imports and reads, without its own, sorted."""
    modules = own_modules(module)
    files = set(modules.values()) - {modules.get(module.__name__)}
    data = {place for path in modules.values() for place in read.get(path, ())}
    return sorted({content_digest(place) for place in files | data})


def has_changed(module: ModuleType) -> bool:
    """Return whether own code that this process has imported for a module, or a file that it read, is another now."""
    changed = False
    for name, path in own_modules(module).items():
        if name in sys.modules:
            changed |= executed.setdefault(path, content_digest(path)) != content_digest(path)
            changed |= any(content_digest(place) != before for place, before in read.get(path, {}).items())
    return changed


def forget(module: ModuleType) -> None:
    """Let own code be imported anew that was imported for a module; the running script stays."""
    for name in own_modules(module):
        if name != "__main__":
            sys.modules.pop(name, None)


@lru_cache(maxsize=4096)
def _imports_of(path: str, content: str) -> Imports:
    """Return what a source file imports; ``content`` is its digest, so that an edited file is read again."""
    if not path.endswith(".py"):
        return ()
    try:
        tree = ast.parse(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ()
    return tuple(dict.fromkeys(_imports_in(tree)))


def _imports_in(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            yield base, node.level
            yield from ((f"{base}.{alias.name}".lstrip("."), node.level) for alias in node.names if alias.name != "*")
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called, argument = node.func, node.args[0].value
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in ("import_module", "__import__") and isinstance(argument, str):
                yield argument.lstrip("."), len(argument) - len(argument.lstrip("."))


def _absolute(imports: Imports, package: str) -> Iterable[str]:
    """Return the full names of imported modules, each after the packages that it lies in."""
    names: dict[str, None] = {}
    for name, level in imports:
        parents = package.split(".")[: len(package.split(".")) - level + 1] if level and package else []
        if level and not parents:
            continue
        parts = [*parents, *(part for part in name.split(".") if part)]
        names |= {".".join(parts[: count + 1]): None for count in range(len(parts))}
    return names


def _place(name: str) -> str | None:
    """Return the file of an own module that is imported or could be; nothing is imported."""
    top = name.partition(".")[0]
    above = getattr(sys.modules.get(top), "__file__", None)
    if top in sys.stdlib_module_names or (above is not None and not is_own(above)):
        return None
    if name in sys.modules:
        place = getattr(sys.modules[name], "__file__", None)
    else:
        spec = _spec(name)
        place = spec.origin if spec is not None and spec.has_location else None
    return place if place is not None and is_own(place) else None


def _spec(name: str) -> importlib.machinery.ModuleSpec | None:
    parent, path = _above(name), None
    if parent:
        if parent in sys.modules:
            path = getattr(sys.modules[parent], "__path__", None)
        else:
            spec = _spec(parent)
            path = spec.submodule_search_locations if spec is not None else None
        if not path:
            return None
    try:
        there: importlib.machinery.ModuleSpec | None = found(name, list(path) if path else None)
    except (ImportError, ValueError, AttributeError):
        return None
    return there
