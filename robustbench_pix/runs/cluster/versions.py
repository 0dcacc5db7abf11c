"""Versions that change numbers: a worker that has others than the client refuses to work for it."""

import platform
from importlib.metadata import PackageNotFoundError, version

from robustbench_pix import __version__
from robustbench_pix.errors import UserError
from robustbench_pix.identity import NUMERICS_VERSION
from robustbench_pix.runs.manifest import libraries

Versions = dict[str, str]
"""Version by name."""


def versions() -> Versions:
    """Return what of this process changes numbers.

    Of torch the part behind ``+``, which says for which devices it was built, is left out: the client computes nothing.
    """
    return {
        "robustbench_pix": __version__,
        "its numerics version": str(NUMERICS_VERSION),
        "python": ".".join(platform.python_version_tuple()[:2]),
        "torch": _torch(),
        **libraries(),
    }


def differences(client: Versions) -> str:
    """Return in what this process differs from a client, in words, or ""."""
    here = versions()
    names = [name for name in {**client, **here} if client.get(name) != here.get(name)]
    return ", ".join(f"{name} {here.get(name, 'missing')} (the client {client.get(name, 'none')})" for name in names)


def require_same(client: Versions) -> None:
    """Refuse to work for a client of other versions.

    Raises:
        UserError: names each version that differs.
    """
    if found := differences(client):
        raise UserError(f"other versions than the client's would change numbers: {found}; install the same ones there.")


def _torch() -> str:
    try:
        return version("torch").partition("+")[0]
    except PackageNotFoundError:
        return "missing"
