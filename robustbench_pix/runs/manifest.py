"""Build, seal and check spec.json, the manifest of a run: job identity, versions, hardware, and a digest of every file.

A digest is remembered until its file changes, so that a command reads no file for it twice.
"""

import hashlib
import json
import platform
import subprocess
import time
from collections.abc import Callable
from functools import lru_cache, wraps
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from robustbench_pix.catalogue.workspace import PACKAGE
from robustbench_pix.identity import CHECK_VERSION, NEAREST_VERSION, RECORD_VERSION, digest

T = TypeVar("T")

REMEMBERED = 2**14
"""Files: what is read of more of them at once does not stay in memory."""

SPEC = "spec.json"
SEAL = "digest"
"""The field of spec.json, or of a plan, that holds the digest of all others."""

VERSIONS = {
    "attack": ("record", RECORD_VERSION),
    "validation": ("record", RECORD_VERSION),
    "check": ("check", CHECK_VERSION),
    "nearest": ("nearest", NEAREST_VERSION),
}
"""By kind of run: where its identity states by which version it was recorded, and the version that can be read."""

LIBRARIES = ("numpy", "scipy", "torchvision", "foolbox", "adversarial-robustness-toolbox")
"""Libraries that change numbers, beside torch, which every row states."""

SETTLED_SECONDS = 1.0
"""A file that changed more recently is read again: clocks of file systems may tick too slowly to show two changes."""


class Checked(NamedTuple):
    """What spec.json says, and what is wrong with it, or None; where something is, nothing of it may be used."""

    spec: dict[str, Any]
    fault: str | None


def once_a_state(read: Callable[[Path], T]) -> Callable[[Path], T]:
    """Return a reader that remembers what it read of ``REMEMBERED`` files, for as long as a file stays as it is."""

    @lru_cache(REMEMBERED)
    def remembered(path: Path, *state: int) -> T:
        return read(path)

    @wraps(read)
    def current(path: Path) -> T:
        found = path.stat()
        if time.time() - max(found.st_mtime, found.st_ctime) < SETTLED_SECONDS:
            return read(path)
        return remembered(path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    return current


@once_a_state
def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sealed(content: dict[str, Any]) -> str:
    """Return the text of a file that holds these JSON values under a digest of the text without it.

    One key at least comes after the digest's in the alphabet.

    >>> print(sealed({"seconds": 1.5}), end="")
    {
     "digest": "1e71ac52480b03169514cd3742ef985c4735dd0a1bad251f8e6af99df14b0994",
     "seconds": 1.5
    }
    """
    values = {name: value for name, value in content.items() if name != SEAL}
    text = json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False, default=str) + "\n"
    place = _place_of_seal(text, values)
    return text[:place] + _line_of_seal(_sha(text)) + text[place:]


def unsealed(text: str) -> dict[str, Any]:
    """Return what a sealed text holds, without the digest.

    Raises:
        ValueError: it is no JSON object, or is not what was sealed.
        KeyError: it has no digest.
    """
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise ValueError(str(error)) from error
    return _opened(text, values)


def _opened(text: str, values: Any) -> dict[str, Any]:
    """Return the values of a sealed text, whose seal is checked on the text as it stands: JSON is slow to write."""
    if not isinstance(values, dict):
        raise ValueError("it is no object")
    stated = values.pop(SEAL)
    line = _line_of_seal(stated)
    end = _place_of_seal(text, values)
    begin = max(0, end - len(line))
    if text[begin:end] != line or _sha(text[:begin] + text[end:]) != stated:
        raise ValueError("it has changed since it was written")
    return values


def _place_of_seal(text: str, values: dict[str, Any]) -> int:
    """Return where the line of the next key begins, at the top of a text; 0 where there is none."""
    following = min((name for name in values if name > SEAL), default="")
    return text.find(f"\n {json.dumps(following, ensure_ascii=False)}: ") + 1


def _line_of_seal(stated: Any) -> str:
    return f' "{SEAL}": {json.dumps(stated)},\n'


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@once_a_state
def checked_spec(path: Path) -> Checked:
    """Return what a spec.json says, or what is wrong with it: form, digest, version, or the name of its folder.

    Raises:
        OSError: it cannot be read.
    """
    try:
        text = path.read_bytes().decode()
        values = json.loads(text)
    except (ValueError, RecursionError):
        return Checked({}, f"{SPEC} cannot be read")
    try:
        spec = _opened(text, values)
        identity = spec["identity"]
        name = f"{identity['kind']}-{digest(identity)}"
    except (KeyError, TypeError):
        return Checked({}, "recorded by another version")
    except ValueError:
        return Checked({}, f"{SPEC} has changed")
    if name != path.parent.name:
        return Checked({}, f"it holds {name}")
    stated_by, version = VERSIONS.get(identity["kind"], ("", None))
    if identity.get(stated_by) != version:
        return Checked({}, "recorded by another version")
    return Checked(spec, None)


def made_here(device: str) -> dict[str, Any]:
    """Return what a manifest says of where a job is done: versions, commit and hardware."""
    from robustbench_pix import __version__
    from robustbench_pix.devices import device_name

    return {
        "version": __version__,
        **rounding_of_here(),
        "libraries": libraries(),
        "commit": commit(),
        "device": device_name(device),
    }


def rounding_of_here() -> dict[str, str]:
    """Return what decides how a CPU rounds: the version of torch and the kind of processor."""
    import torch

    return {"torch": torch.__version__, "processor": _processor()}


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        if names:
            return names[0]
    return platform.processor() or platform.machine()


@lru_cache(maxsize=1)
def libraries() -> dict[str, str]:
    """Return the versions of those of ``LIBRARIES`` that are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=1)
def commit() -> str | None:
    """Return the commit of the code, with a remark if it was changed since, or None outside a git checkout."""
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".")
    return f"{_git('rev-parse', 'HEAD')}{' with changes' if changed else ''}"


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=PACKAGE, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
