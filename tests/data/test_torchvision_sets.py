import builtins
import gzip
import hashlib
import os
import socket
import struct
import sys
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from robustbench_pix.data import torchvision_sets
from robustbench_pix.data.base import default_root
from robustbench_pix.errors import UserError

SMALL = replace(torchvision_sets.MNIST, train_shape=(20, 1, 28, 28), test_shape=(5, 1, 28, 28))


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **keywords):
        assert socket.getdefaulttimeout() == torchvision_sets.TIMEOUT
        print("Downloading")
        raise OSError("no network in tests")

    monkeypatch.setattr(socket, "create_connection", refuse)


def idx(array):
    return struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def mnist_arrays(train=20, test=5, seed=0):
    generator = np.random.default_rng(seed)
    return {
        "train-images-idx3-ubyte": generator.integers(0, 256, (train, 28, 28), dtype=np.uint8),
        "train-labels-idx1-ubyte": (np.arange(train) % 10).astype(np.uint8),
        "t10k-images-idx3-ubyte": generator.integers(0, 256, (test, 28, 28), dtype=np.uint8),
        "t10k-labels-idx1-ubyte": (np.arange(test) % 10).astype(np.uint8),
    }


def write_mnist(root, arrays, *, packed=False):
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, array in arrays.items():
        content = idx(array)
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content) if packed else content)
    return folder


def trust_packed(folder, monkeypatch):
    """Tell torchvision the checksums of archives that a test made."""
    files = sorted(folder.glob("*.gz"))
    resources = [(file.name, hashlib.md5(file.read_bytes()).hexdigest()) for file in files]
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)


def listing(root):
    return sorted((path.relative_to(root), path.stat().st_mtime_ns) for path in root.rglob("*"))


def test_mnist_from_disk(tmp_path):
    arrays = mnist_arrays()
    write_mnist(tmp_path, arrays)
    before = listing(tmp_path)
    data = torchvision_sets.read(SMALL, tmp_path, colour="gray")
    assert np.array_equal(data.train_images[:, 0], arrays["train-images-idx3-ubyte"])
    assert np.array_equal(data.test_images[:, 0], arrays["t10k-images-idx3-ubyte"])
    assert np.array_equal(data.train_labels, arrays["train-labels-idx1-ubyte"])
    assert np.array_equal(data.test_labels, arrays["t10k-labels-idx1-ubyte"])
    assert (data.classes, data.regularization_augmentation, data.validation_images) == (10, "none", None)
    assert data.picture_credit == "", "these pictures are not ours to publish"
    assert listing(tmp_path) == before
    assert torchvision_sets.read(SMALL, tmp_path, colour="rgb").train_images.shape == (20, 3, 28, 28)


def test_archives_are_unpacked_without_writing_beside_them(tmp_path, monkeypatch, capsys):
    arrays = mnist_arrays()
    trust_packed(write_mnist(tmp_path, arrays, packed=True), monkeypatch)
    before = listing(tmp_path)
    data = torchvision_sets.read(SMALL, tmp_path, colour="gray")
    assert np.array_equal(data.train_images[:, 0], arrays["train-images-idx3-ubyte"])
    assert listing(tmp_path) == before
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("no_network")
def test_damaged_archives_stay_as_they_are(tmp_path, monkeypatch):
    folder = write_mnist(tmp_path, mnist_arrays(), packed=True)
    trust_packed(folder, monkeypatch)
    archive = folder / "train-images-idx3-ubyte.gz"
    archive.write_bytes(archive.read_bytes()[:100])
    with pytest.raises(UserError, match="could not be downloaded"):
        torchvision_sets.read(SMALL, tmp_path, colour="gray")
    assert len(archive.read_bytes()) == 100


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serve a folder on this machine and make it torchvision's only mirror of MNIST."""
    folder = write_mnist(tmp_path / "server", mnist_arrays(), packed=True)
    trust_packed(folder, monkeypatch)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [f"http://127.0.0.1:{running.server_port}/"])
        thread = Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield folder
        running.shutdown()
        thread.join()


def test_an_interrupted_download_leaves_nothing(tmp_path, server):
    (server / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(UserError, match=r"could not be downloaded \(HTTP Error 404"):
        torchvision_sets.read(SMALL, tmp_path / "new", colour="gray")
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.usefixtures("server")
def test_a_download_is_moved_into_place_whole(tmp_path, monkeypatch, capsys):
    data = torchvision_sets.read(SMALL, tmp_path / "new", colour="gray")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["MNIST"]
    assert len(list((tmp_path / "new" / "MNIST" / "raw").iterdir())) == 8
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [])
    assert torchvision_sets.read(SMALL, tmp_path / "new", colour="gray").digest == data.digest


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("load", "folder", "file"),
    [
        (torchvision_sets.mnist, "MNIST/raw", "t10k-labels-idx1-ubyte"),
        (torchvision_sets.fashionmnist, "FashionMNIST/raw", "train-images-idx3-ubyte"),
        (torchvision_sets.cifar10, "cifar-10-batches-py", "data_batch_5"),
        (torchvision_sets.cifar100, "cifar-100-python", "meta"),
    ],
)
def test_absent_without_a_network(tmp_path, capsys, load, folder, file):
    with pytest.raises(UserError) as caught:
        load(tmp_path, colour="gray")
    message = str(caught.value)
    assert str(tmp_path / folder) in message
    for part in (file, "could not be downloaded", "no network in tests", "--data-root", "RBP_DATA"):
        assert part in message
    assert "\n" not in message
    assert capsys.readouterr().out == ""
    assert socket.getdefaulttimeout() is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_network")
def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"MNIST is not in .*could not be downloaded"):
        torchvision_sets.mnist(tmp_path / "file", colour="gray")


def cut(content):
    return content[:-100]


def another_magic_number(content):
    return b"\x00\x00\x99\x03" + content[4:]


def nothing(content):
    return b""


@pytest.mark.parametrize("damage", [cut, another_magic_number, nothing])
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-images-idx3-ubyte"])
def test_damaged_images_are_told(tmp_path, damage, name):
    folder = write_mnist(tmp_path, mnist_arrays())
    (folder / name).write_bytes(damage((folder / name).read_bytes()))
    with pytest.raises(UserError, match=rf"The MNIST files in {folder} are damaged .*delete them"):
        torchvision_sets.read(SMALL, tmp_path, colour="gray")


@pytest.mark.parametrize(
    ("name", "array", "told"),
    [
        ("train-labels-idx1-ubyte", np.zeros(19, np.uint8), "19 labels instead of"),
        ("train-labels-idx1-ubyte", np.full(20, 10, np.uint8), "a label is 10 instead of less than 10"),
        ("t10k-images-idx3-ubyte", np.zeros((5, 28, 27), np.uint8), r"images \(5, 1, 28, 27\)"),
        ("t10k-labels-idx1-ubyte", np.zeros((5, 1), np.uint8), "dimension"),
    ],
)
def test_wrong_content_is_told(tmp_path, name, array, told):
    folder = write_mnist(tmp_path, {**mnist_arrays(), name: array})
    with pytest.raises(UserError, match=rf"The MNIST files in {folder} are damaged \(.*{told}"):
        torchvision_sets.read(SMALL, tmp_path, colour="gray")


def test_a_part_of_mnist_is_not_mnist(tmp_path):
    folder = write_mnist(tmp_path, mnist_arrays())
    with pytest.raises(UserError, match=rf"{folder} are damaged .*20.*instead of images \(60000, 1, 28, 28\)"):
        torchvision_sets.mnist(tmp_path, colour="gray")


@pytest.mark.parametrize("load", [torchvision_sets.cifar10, torchvision_sets.cifar100])
def test_damaged_cifar_files_are_told_and_not_unpickled(tmp_path, load):
    source = {torchvision_sets.cifar10: torchvision_sets.CIFAR10}.get(load, torchvision_sets.CIFAR100)
    folder = tmp_path / source.folder
    folder.mkdir()
    for name in source.files:
        (folder / name).write_bytes(b"cbuiltins\nexit\n(tR.")
    with pytest.raises(UserError, match=rf"The {source.title} files in {folder} are damaged"):
        load(tmp_path, colour="gray")


def test_cifar_pixels_keep_their_places():
    raw = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    images = torchvision_sets.to_images(raw)
    assert images.is_contiguous()
    for image, pixels in zip(images, raw, strict=True):
        for channel, band in zip(image, Image.fromarray(pixels).split(), strict=True):
            assert np.array_equal(channel, np.asarray(band))


def test_the_expected_files_are_torchvisions():
    for source in (torchvision_sets.MNIST, torchvision_sets.FASHION_MNIST):
        resources = getattr(torchvision.datasets, source.torchvision_class).resources
        assert sorted(source.archives) == sorted(f"{source.folder}/{name}" for name, _ in resources)
    for source in (torchvision_sets.CIFAR10, torchvision_sets.CIFAR100):
        kind = getattr(torchvision.datasets, source.torchvision_class)
        names = [name for name, _ in kind.train_list + kind.test_list]
        assert (source.folder, source.files) == (kind.base_folder, (*names, kind.meta["filename"]))
        assert source.archives == (kind.filename,)


def test_a_torchvision_that_does_not_import(tmp_path, monkeypatch):
    write_mnist(tmp_path, mnist_arrays())
    monkeypatch.delitem(sys.modules, "torchvision")
    real = builtins.__import__

    def failing(name, *arguments, **keywords):
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist")
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", failing)
    with pytest.raises(UserError, match=r"torchvision does not import .*nms does not exist.*install the build of it"):
        torchvision_sets.read(SMALL, tmp_path, colour="gray")


@pytest.mark.parametrize(
    ("load", "source", "mean"),
    [
        (torchvision_sets.mnist, torchvision_sets.MNIST, 0.1307),
        (torchvision_sets.fashionmnist, torchvision_sets.FASHION_MNIST, 0.2860),
        (torchvision_sets.cifar10, torchvision_sets.CIFAR10, 0.4809),
        (torchvision_sets.cifar100, torchvision_sets.CIFAR100, 0.4875),
    ],
)
def test_real_files(load, source, mean):
    root = default_root()
    present = all((root / source.folder / name).is_file() for name in source.files)
    if "RBP_DATA" not in os.environ or not present:
        pytest.skip(f"RBP_DATA names no folder with the files of {source.title}")
    data = load(root, colour="gray")
    assert data.picture_credit == ""
    assert abs(data.train_images.float().mean() / 255 - mean) < 5e-4
    assert torch.equal(data.train_labels.bincount(), data.train_labels.bincount().flip(0)) or source.title == "MNIST"
    assert data.train_labels.unique().tolist() == list(range(source.classes))
