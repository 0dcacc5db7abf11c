"""What ``rbp doctor`` looks at."""

import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, NamedTuple

from robustbench_pix import __version__
from robustbench_pix.catalogue.workspace import FOLDERS, Workspace
from robustbench_pix.errors import UserError

LIBRARIES = ("torch", "torchvision", "foolbox", "adversarial-robustness-toolbox", "numpy", "pandas", "scikit-learn")


class Finding(NamedTuple):
    """One thing that was looked at; ``absent`` data and devices are no failure."""

    what: str
    state: Literal["works", "absent", "fails"]
    details: str


def examine(workspace: Workspace, data_root: Path | None) -> list[Finding]:
    """Look at the libraries, the devices, the catalogue, the data sets and the disk."""
    python = Finding("python", "works", f"{platform.python_version()} on {platform.platform()}")
    return [
        Finding("robustbench_pix", "works", __version__),
        python,
        *(_library(name) for name in LIBRARIES),
        _attempt("import torch", _torch),
        _attempt("import torchvision", _import("torchvision")),
        _attempt("import foolbox", _import("robustbench_pix.attacks.foolbox_", "foolbox")),
        _attempt("import art", _import("art.attacks.evasion")),
        *_catalogue(workspace),
        *_datasets(data_root),
        _attempt("workspace", lambda: _disk(workspace)),
    ]


def _attempt(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, "works", look())
    except Exception as error:
        return Finding(what, "fails", f"{type(error).__name__}: {error}")


def _library(name: str) -> Finding:
    try:
        return Finding(name, "works", version(name))
    except PackageNotFoundError:
        return Finding(name, "fails", f"not installed; pip install {name}")


def _import(*modules: str) -> Callable[[], str]:
    def look() -> str:
        for module in modules:
            __import__(module)
        return "imports"

    return look


def _torch() -> str:
    import torch

    cuda = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    mps = ["Apple GPU (mps)"] if torch.backends.mps.is_available() else []
    return ", ".join([f"cpu with {os.cpu_count()} cores", *cuda, *mps])


def _catalogue(workspace: Workspace) -> list[Finding]:
    """Read every catalogue file."""
    findings = []
    for kind, folder in FOLDERS.items():
        names, wrong = workspace.names(folder), []
        for name in names:
            try:
                getattr(workspace, kind)(name)
            except UserError as error:
                wrong.append(str(error))
        state: Literal["works", "fails"] = "fails" if wrong else "works"
        findings.append(Finding(folder, state, " ".join(wrong) or f"{len(names)}: {', '.join(names)}"))
    return findings


def _datasets(data_root: Path | None) -> list[Finding]:
    from robustbench_pix.data.base import default_root

    root = data_root or default_root()
    expected = {
        "mnist": "MNIST/raw",
        "fashionmnist": "FashionMNIST/raw",
        "cifar10": "cifar-10-batches-py",
        "cifar100": "cifar-100-python",
        "natural": "natural",
    }
    findings = [
        Finding("data root", "works" if root.is_dir() else "absent", str(root)),
        Finding("data set digits", "works", "comes with scikit-learn"),
    ]
    for name, folder in expected.items():
        there = (root / folder).is_dir()
        mend = "put pictures there" if name == "natural" else "a run downloads it"
        details = f"{folder} below the data root" if there else f"no {folder} below the data root; {mend}"
        findings.append(Finding(f"data set {name}", "works" if there else "absent", details))
    return findings


def _disk(workspace: Workspace) -> str:
    place = workspace.root.resolve()
    with tempfile.TemporaryFile(dir=place):
        free = shutil.disk_usage(place).free
    return f"{place} can be written, {free / 1e9:.0f} GB free"
