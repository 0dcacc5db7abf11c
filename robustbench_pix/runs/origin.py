"""Where numbers come from: the versions of the libraries that compute them, and the commit of this package's code."""

import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

from robustbench_pix.catalogue.workspace import PACKAGE

LIBRARIES = ("numpy", "scipy", "torchvision", "foolbox", "adversarial-robustness-toolbox")


@lru_cache(maxsize=1)
def libraries() -> dict[str, str]:
    """Return the versions of the installed libraries that change numbers, beside torch, which every row states."""
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
