"""Arrays by name from a user's file: .npy, .npz, .safetensors, .h5 or .mat; nothing is ever unpickled."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from robustbench_pix.errors import UserError

Arrays = dict[str, np.ndarray]

FORMATS = ".npy or .safetensors, nor as .npz, .h5 or .mat"
PICKLE = "is a pickle, which runs code when it is read"
REFUSED = {
    ".pkl": PICKLE,
    ".pickle": PICKLE,
    ".nwb": "is NWB, whose trials must be counted in bins of your choice (pynwb reads it)",
}
INSTEAD = "save plain arrays with numpy.savez, as rbp show neural says"


def read_arrays(path: Path, sole: str) -> Arrays:
    """Return the arrays of a file by their names; ``sole`` is the name of the one array of a .npy file.

    Of HDF5 the arrays of groups are named ``group/array``, and text among the attributes counts as arrays. Those of
    .mat version 7.3 get their axes in MATLAB's order.

    Raises:
        UserError: the file has another format, is damaged, holds Python objects, or needs a library that is absent.
    """
    suffix = path.suffix.lower()
    if suffix in REFUSED:
        raise UserError(f"{path} {REFUSED[suffix]}; {INSTEAD}.")
    try:
        if suffix == ".npy":
            return {sole: np.load(path, allow_pickle=False)}
        return READERS.get(suffix, _safetensors)(path)
    except UserError:
        raise
    except Exception as error:
        if "Object arrays" in str(error):
            raise UserError(f"{path} holds Python objects; save arrays of plain numbers.") from error
        if "pickle" in str(error):  # numpy takes whatever it does not know for one, and tells how to load it.
            found = f"it is damaged, or {PICKLE.removeprefix('is ')}"
            raise UserError(f"{path} could not be read as {FORMATS}: {found}; {INSTEAD}.") from error
        raise UserError(f"{path} could not be read as {FORMATS}: {error}.") from error


def read_array(path: Path, name: str) -> np.ndarray:
    """Return one array of a file.

    Raises:
        UserError: as ``read_arrays``, or there is no array of this name.
    """
    arrays = read_arrays(path, name)
    if name not in arrays:
        raise UserError(f"{path} holds no tensor {name!r}, only {', '.join(sorted(arrays)) or 'nothing'}.")
    return arrays[name]


def _npz(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _safetensors(path: Path) -> Arrays:
    from safetensors.numpy import load_file

    return dict(load_file(path))


def _hdf5(path: Path) -> Arrays:
    h5py = _h5py(path)
    found: Arrays = {}

    def visit(name: str, item: Any) -> None:
        found.update({key: np.asarray(text) for key, text in item.attrs.items() if isinstance(text, str)})
        if isinstance(item, h5py.Dataset) and item.shape is not None:
            found[name] = np.asarray(item)

    with h5py.File(path, "r") as file:
        visit("", file)
        file.visititems(visit)
    return found


def _mat(path: Path) -> Arrays:
    from scipy.io import loadmat

    try:
        found = loadmat(path)
    except NotImplementedError:  # Version 7.3 is HDF5, whose axes come in C's order.
        return {name: values.T for name, values in _hdf5(path).items()}
    return {name: values for name, values in found.items() if not name.startswith("__")}


def _h5py(path: Path) -> ModuleType:
    try:
        import h5py
    except ImportError as error:
        raise UserError(f'{path} is HDF5, which needs h5py: pip install "robustbench-pix[neural]".') from error
    module: ModuleType = h5py
    return module


READERS: dict[str, Callable[[Path], Arrays]] = {".npz": _npz, ".h5": _hdf5, ".hdf5": _hdf5, ".mat": _mat}
