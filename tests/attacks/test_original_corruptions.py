"""CIFAR-10-C's own files, generated here for a CIFAR-10 of 30 test images."""

import numpy as np
import pytest
import torch

import robustbench_pix as rbp
from robustbench_pix.attacks.corruptions.corruption import Corruption
from robustbench_pix.data import torchvision_sets
from robustbench_pix.data.base import ImageData, to_gray
from robustbench_pix.errors import UserError
from tests.attacks.toys import blind, keys_of
from tests.workspaces import TASK, tiny_workspace

COUNT = 30
LABELS = torch.arange(COUNT) % 10


def write(root, name="fog", seed=0, labels=None, images=None):
    folder = root / "CIFAR-10-C"
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (5 * COUNT, 32, 32, 3), dtype=np.uint8) if images is None else images
    np.save(folder / f"{name}.npy", images)
    np.save(folder / "labels.npy", np.tile(LABELS.numpy(), 5).astype(np.uint8) if labels is None else labels)
    return images


@pytest.mark.parametrize("channels", [1, 3])
def test_severities_stand_one_after_the_other_in_the_order_of_the_test_set(tmp_path, channels):
    written = write(tmp_path, "gaussian_noise")
    corruption = Corruption("gaussian-noise")
    corruption.file = corruption.find_file("cifar10", LABELS, tmp_path)
    images, keys = torch.rand(4, channels, 32, 32), [keys_of(COUNT)[index] for index in (7, 29, 0, 7)]
    results = list(corruption.perturb(blind(), images, torch.zeros(4), (0, 2, 5), keys))
    assert torch.equal(results[0], images)
    for severity, got in zip((2, 5), results[1:], strict=True):
        for place, index in enumerate((7, 29, 0, 7)):
            expected = torch.from_numpy(written[(severity - 1) * COUNT + index]).permute(2, 0, 1)
            expected = to_gray(expected[None])[0] if channels == 1 else expected
            assert torch.equal(got[place], expected.float() / 255)


def test_only_cifar10_has_such_files_and_only_those_that_are_there(tmp_path):
    write(tmp_path, "jpeg_compression")
    assert Corruption("jpeg-compression").find_file("cifar10", LABELS, tmp_path).name == "jpeg_compression.npy"
    assert Corruption("jpeg-compression").find_file("cifar100", LABELS, tmp_path) is None
    assert Corruption("fog").find_file("cifar10", LABELS, tmp_path) is None


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            {"labels": np.zeros(5 * COUNT, np.uint8)},
            r"labels\.npy does not hold CIFAR-10's test labels 5 times; put the",
        ),
        ({"labels": LABELS.numpy()}, r"labels\.npy does not hold CIFAR-10's test labels 5 times; put the original"),
        (
            {"images": np.zeros((5 * COUNT - 1, 32, 32, 3), np.uint8)},
            r"fog\.npy must hold uint8 \(150, 32, 32, 3\), not uint8 \(149, 32, 32, 3\); put the original there\.",
        ),
        ({"images": np.zeros((5 * COUNT, 32, 32, 3))}, r"must hold uint8 .* not float64"),
    ],
)
def test_wrong_files_are_refused(tmp_path, wrong, sentence):
    write(tmp_path, **wrong)
    with pytest.raises(UserError, match=sentence) as refusal:
        Corruption("fog").find_file("cifar10", LABELS, tmp_path)
    assert "\n" not in str(refusal.value)


def test_absent_labels_and_damaged_files_are_refused(tmp_path):
    write(tmp_path)
    (tmp_path / "CIFAR-10-C/labels.npy").unlink()
    with pytest.raises(UserError, match=r"labels\.npy cannot be read"):
        Corruption("fog").find_file("cifar10", LABELS, tmp_path)
    write(tmp_path)
    (tmp_path / "CIFAR-10-C/fog.npy").write_bytes(b"not an array")
    with pytest.raises(UserError, match=r"fog\.npy cannot be read .*put the original of CIFAR-10-C there\."):
        Corruption("fog").find_file("cifar10", LABELS, tmp_path)


def few_images(root, *, colour):
    train = torch.randint(0, 256, (60, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    data = ImageData(train, torch.arange(60) % 10, test_images=train[:COUNT], test_labels=LABELS, classes=10)
    return data.in_colour(colour)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Give a function that runs fog and snow on the few images, and returns the rows at the largest severity."""
    monkeypatch.setattr(torchvision_sets, "cifar10", few_images)
    workspace = tiny_workspace(tmp_path)
    (workspace / "models/tasks/tiny.toml").write_text(TASK.replace('"digits"', '"cifar10"').replace("60\n", "25\n"))
    suite = 'version = 1\nsummary = "Two"\nattacks = ["corruption-fog", "corruption-snow"]\n'
    (workspace / "attacks/suites/two.toml").write_text(suite)

    def measured():
        table = rbp.run(
            workspace=workspace, suite="two", on="tiny", recipes="unregularized", seeds=1,
            device="cpu", executor="inline", data_root=tmp_path / "data",
        )  # fmt: skip
        return table[table["strength"] == 5].set_index("attack")

    return measured


def test_a_run_reads_the_files_that_are_there_and_says_so(tmp_path, run):
    made = run()
    assert list(made["flags"]) == ["", ""]
    written = write(tmp_path / "data")
    read = run()
    assert read.loc["corruption-fog", "flags"] == "read from CIFAR-10-C/fog.npy"
    assert read.loc["corruption-snow", "flags"] == ""
    assert read.loc["corruption-snow", "attack_id"] == made.loc["corruption-snow", "attack_id"]
    for name in ("attack_id", "attack_hash", "suite_hash"):
        assert read.loc["corruption-fog", name] != made.loc["corruption-fog", name]

    network = rbp.load_model(tmp_path / f"runs/train-{read['model_id'].iloc[0]}")
    test = few_images(None, colour="gray").test_images[:25].float() / 255
    fog = to_gray(torch.from_numpy(written[4 * COUNT : 4 * COUNT + 25]).permute(0, 3, 1, 2)).float() / 255
    with torch.no_grad():
        right = [network(images).argmax(dim=1) == LABELS[:25] for images in (test, fog)]
    assert read.loc["corruption-fog", "correct"] == int((right[0] & right[1]).sum())
    far = np.median((fog - test).flatten(1).norm(dim=1)[right[0]])
    assert read.loc["corruption-fog", "median_l2"] == pytest.approx(far, rel=1e-5)

    write(tmp_path / "data", seed=1)
    assert run().loc["corruption-fog", "attack_id"] not in (
        made.loc["corruption-fog", "attack_id"],
        read.loc["corruption-fog", "attack_id"],
    )
    (tmp_path / "data/CIFAR-10-C/fog.npy").unlink()
    assert run().loc["corruption-fog", "attack_id"] == made.loc["corruption-fog", "attack_id"]
