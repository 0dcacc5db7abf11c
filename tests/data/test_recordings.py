"""Recordings: what they hold, the files they are read from, and what is refused."""

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from scipy.io import savemat
from scipy.spatial.distance import pdist, squareform

from robustbench_pix.data.base import ImageData, default_root, load_dataset
from robustbench_pix.data.preparation import regularization_data, resized
from robustbench_pix.data.recording import Recording, Session
from robustbench_pix.data.recording_files import read_recording
from robustbench_pix.errors import UserError

GENERATOR = np.random.default_rng(0)
RESPONSES = GENERATOR.normal(size=(7, 4, 3))
SIMILARITY = np.corrcoef(GENERATOR.normal(size=(7, 20)))
REAL = default_root()


def one(recording):
    (session,) = recording.chosen(None)
    return session


@pytest.mark.parametrize(("suffix", "write"), [("npz", np.savez), ("safetensors", save_file), ("mat", savemat)])
def test_files_hold_arrays_by_name(tmp_path, suffix, write):
    path, arrays = (
        tmp_path / f"a.{suffix}",
        {"responses": RESPONSES, "reliability": np.arange(4.0), "other": np.ones(2)},
    )
    write(path, **arrays) if write is np.savez else write(*((path, arrays) if write is savemat else (arrays, path)))
    session = one(read_recording(path, "responses"))
    np.testing.assert_array_equal(session.responses, RESPONSES)
    np.testing.assert_array_equal(session.reliability, arrays["reliability"])


def test_hdf5_and_mat_of_version_7_3(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["responses"] = RESPONSES
    np.testing.assert_array_equal(one(read_recording(tmp_path / "a.h5", "responses")).responses, RESPONSES)
    with h5py.File(tmp_path / "b.mat", "w", userblock_size=512) as file:
        file["responses"] = RESPONSES.T
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + bytes(8) + b"\x00\x02IM"
    with (tmp_path / "b.mat").open("r+b") as file:
        file.write(header)
    np.testing.assert_array_equal(one(read_recording(tmp_path / "b.mat", "responses")).responses, RESPONSES)


def test_what_rsatoolbox_writes(tmp_path):
    h5py = pytest.importorskip("h5py")
    rdms = np.stack([pdist(RESPONSES[:, :, 0], "correlation"), pdist(RESPONSES[:, :, 1], "correlation")])
    with h5py.File(tmp_path / "rdms.hdf5", "w") as file:
        file["dissimilarities"] = rdms
        file.attrs["dissimilarity_measure"] = "correlation"
        file.create_group("rdm_descriptors")["index"] = [0, 1]
    recording = read_recording(tmp_path / "rdms.hdf5", "similarity")
    assert list(recording.sessions) == ["1", "2"]
    np.testing.assert_allclose(recording.sessions["2"].similarity, np.corrcoef(RESPONSES[:, :, 1]), atol=1e-12)
    order = GENERATOR.permutation(np.repeat(np.arange(7), 3)[:-1])
    with h5py.File(tmp_path / "dataset.h5", "w") as file:
        file["measurements"] = np.arange(20.0)[:, None] * [1, 10]
        group = file.create_group("obs_descriptors")
        group["index"], group["image"] = np.arange(20), order
    responses = one(read_recording(tmp_path / "dataset.h5", "responses")).responses
    assert responses.shape == (7, 2, 3)
    for image in range(7):
        shown = responses[image, 1]
        assert shown[np.isfinite(shown)].tolist() == (10.0 * np.flatnonzero(order == image)).tolist()


def test_hdf5_without_its_library_is_told(tmp_path, monkeypatch):
    (tmp_path / "a.h5").write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(UserError, match=r'needs h5py: pip install "robustbench-pix\[neural\]"'):
        read_recording(tmp_path / "a.h5", "responses")


def test_sessions_of_neurons_and_of_similarities(tmp_path):
    np.savez(tmp_path / "a.npz", responses=RESPONSES, sessions=["b", "a", "b", "b"])
    recording = read_recording(tmp_path / "a.npz", "responses")
    assert {name: session.responses.shape for name, session in recording.sessions.items()} == {
        "a": (7, 1, 3), "b": (7, 3, 3),
    }  # fmt: skip
    np.savez(tmp_path / "b.npz", similarity=np.stack([SIMILARITY, np.eye(7)]), sessions=["x", "y"])
    recording = read_recording(tmp_path / "b.npz", "similarity")
    np.testing.assert_array_equal(recording.chosen(["y"])[0].similarity, np.eye(7))
    with pytest.raises(UserError, match=r"no session z; it has: x, y\."):
        recording.chosen(["z"])
    assert recording.digest(["x"]) != recording.digest(["y"])


def test_dissimilarities_become_similarities(tmp_path):
    features = RESPONSES[:, :, 0]
    np.savez(tmp_path / "a.npz", rdm=squareform(pdist(features, "cosine")))
    expected = 1 - squareform(pdist(features, "cosine"))
    np.testing.assert_allclose(one(read_recording(tmp_path / "a.npz", "similarity")).similarity, expected, atol=1e-12)
    np.savez(tmp_path / "b.npz", rdm=pdist(features, "sqeuclidean"), dissimilarity_measure="squared euclidean")
    centred = features - features.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(
        one(read_recording(tmp_path / "b.npz", "similarity")).similarity, unit @ unit.T, atol=1e-9
    )


@pytest.mark.parametrize(
    ("rdm", "measure", "sentence"),
    [
        (np.ones(5), "correlation", "5 dissimilarities are not those of all pairs"),
        (np.ones((4, 4)), "correlation", "is not 0 on its diagonal"),
        (np.triu(np.ones((4, 4)), 1), "correlation", "is not symmetric"),
        (-squareform(np.ones(6)), "cosine", "holds negative values"),
        (np.full(6, 3.0), "correlation", "is at most 2, but one is 3"),
        (np.full(6, np.nan), "correlation", "holds NaN or infinity"),
        (np.ones(6), "poisson", "no similarity is known"),
        (np.ones((4, 5)), "correlation", "an RDM is square"),
    ],
)
def test_an_rdm_that_is_none_is_refused(tmp_path, rdm, measure, sentence):
    np.savez(tmp_path / "a.npz", rdm=rdm if rdm.ndim == 1 else rdm[None], dissimilarity_measure=measure)
    with pytest.raises(UserError, match=sentence):
        read_recording(tmp_path / "a.npz", "similarity")


def test_python_objects_and_pickles_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", responses=np.array([{}], dtype=object))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(UserError, match="holds Python objects; save arrays of plain numbers"):
            read_recording(tmp_path / name, "responses")
    with pytest.raises(UserError, match="is a pickle"):
        read_recording(tmp_path / "a.pkl", "responses")
    with pytest.raises(UserError, match="pynwb"):
        read_recording(tmp_path / "a.nwb", "responses")


def test_missing_responses_are_told_by_image_and_neuron():
    responses = RESPONSES.copy()
    responses[3, :, 1:] = np.nan
    Session("a", responses=responses)
    responses[3, 2] = np.nan
    with pytest.raises(UserError, match="neuron 2 has no response to image 3"):
        Session("a", responses=responses)
    responses[3] = np.nan
    with pytest.raises(UserError, match="image 3 has no response at all; leave it out"):
        Session("a", responses=responses)


def test_images_and_responses_of_different_number_are_refused():
    recording = Recording({"a": Session("a", similarity=SIMILARITY)})
    with pytest.raises(UserError, match="There are 6 images and responses to 7"):
        ImageData(torch.zeros(6, 1, 4, 4, dtype=torch.uint8), recording=recording)
    with pytest.raises(UserError, match="must be of the same images"):
        Recording({"a": Session("a", similarity=SIMILARITY), "b": Session("b", similarity=np.eye(3))})


def test_images_of_a_recording_are_brought_to_the_size_of_the_task():
    images = torch.from_numpy(GENERATOR.integers(0, 256, (7, 3, 12, 16), dtype=np.uint8))
    data = ImageData(images, recording=Recording({"a": Session("a", responses=RESPONSES)}))
    made = regularization_data(data, count=5, colour="rgb", size=(4, 4))
    areas = images[:5, :, :, 2:14].double().unfold(2, 3, 3).unfold(3, 3, 3).mean(dim=(4, 5))
    assert (made.images.double() - areas).abs().max() <= 1
    assert made.recording.images == 5
    np.testing.assert_array_equal(one(made.recording).responses, RESPONSES[:5])
    assert regularization_data(ImageData(images), count=5, colour="rgb", size=(4, 4)).images.shape[2:] == (12, 16)
    assert resized(images, (12, 16)) is images


@pytest.mark.skipif(not (REAL / "neural").is_dir(), reason="needs the recordings below RBP_DATA")
@pytest.mark.parametrize(("name", "shape"), [("kriegeskorte92", (92, 1, 175, 175)), ("v4", (640, 1, 112, 112))])
def test_real_recordings_are_sets_of_images(name, shape):
    data = load_dataset(name, None, root=REAL, colour="gray")
    assert data.train_images.shape == shape
    assert data.recording.images == shape[0]


@pytest.mark.parametrize("name", ["kriegeskorte92", "v4"])
def test_a_recording_that_is_absent_says_where_it_is_from(name, tmp_path):
    with pytest.raises(UserError, match=r"put it there, or name another folder with --data-root or RBP_DATA\."):
        load_dataset(name, None, root=tmp_path, colour="gray")
