import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from robustbench_pix.catalogue.regularizer_parameters import SimilarityParameters
from robustbench_pix.data.preparation import RegularizationData
from robustbench_pix.errors import UserError
from robustbench_pix.regularizers.neural import file_digest, neural_similarity
from robustbench_pix.regularizers.responses import response_similarity
from robustbench_pix.regularizers.targets import build_target

GENERATOR = np.random.default_rng(0)
RESPONSES = GENERATOR.normal(size=(6, 9))
SIMILARITY = np.corrcoef(GENERATOR.normal(size=(6, 20)))


def neural(**fields):
    return SimilarityParameters(target="neural", **{"order": "prepared", **fields})


def test_response_similarity_against_numpy():
    weights = GENERATOR.uniform(size=9)
    weighted = RESPONSES * weights
    centred = weighted - weighted.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    ours = response_similarity(torch.from_numpy(RESPONSES), torch.from_numpy(weights))
    np.testing.assert_allclose(ours.numpy(), unit @ unit.T, atol=1e-12)


def test_a_matrix_is_read_in_the_prepared_order(tmp_path):
    np.save(tmp_path / "similarity.npy", SIMILARITY)
    np.testing.assert_allclose(neural_similarity(neural(similarity="similarity.npy"), tmp_path, 6).numpy(), SIMILARITY)


def test_a_stated_order_places_rows_and_leaves_other_pairs_out(tmp_path):
    order = np.array([7, 2, 5, 0, 9, 4])
    save_file({"responses": RESPONSES, "reliability": np.ones(9)}, tmp_path / "responses.safetensors")
    np.save(tmp_path / "order.npy", order)
    parameters = neural(responses="responses.safetensors", order="order.npy")
    full = neural_similarity(parameters, tmp_path, 10)
    expected = response_similarity(torch.from_numpy(RESPONSES))
    assert full[7, 9] == expected[0, 4]
    assert torch.isnan(full[1]).all()
    images = torch.zeros(10, 1, 2, 2, dtype=torch.uint8)
    target = build_target(RegularizationData(images), parameters, seed=0, folder=tmp_path)
    assert len(target.allowed) == 15
    rows, columns = torch.triu_indices(10, 10, offset=1)
    place = ((rows == 2) & (columns == 7)).nonzero().item()
    assert place in target.allowed.tolist()
    assert float(target.values[place]) == pytest.approx(float(expected[1, 0]), rel=1e-6)


def test_the_digest_follows_the_content_of_the_files(tmp_path):
    path = tmp_path / "similarity.npy"
    np.save(path, SIMILARITY)
    first = file_digest(neural(similarity=path.name), tmp_path)
    np.save(path, SIMILARITY * 0.5)
    assert file_digest(neural(similarity=path.name), tmp_path) != first


@pytest.mark.parametrize(
    ("matrix", "sentence"),
    [
        (np.zeros((6, 5)), "must be square"),
        (np.full((6, 6), np.nan), "holds NaN"),
        (np.triu(np.full((6, 6), 0.5)), "not symmetric"),
        (np.full((6, 6), 2.0), r"lie in \[-1, 1\]"),
        (np.eye(4), "has 4 rows, but the prepared regularization data have 6"),
    ],
)
def test_wrong_matrices_are_refused(tmp_path, matrix, sentence):
    np.save(tmp_path / "similarity.npy", matrix)
    with pytest.raises(UserError, match=sentence):
        neural_similarity(neural(similarity="similarity.npy"), tmp_path, 6)


def test_files_that_are_absent_or_damaged_are_told(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        neural_similarity(neural(similarity="nothing.npy"), tmp_path, 6)
    (tmp_path / "broken.npy").write_bytes(b"no numpy")
    with pytest.raises(UserError, match="could not be read"):
        neural_similarity(neural(similarity="broken.npy"), tmp_path, 6)
    np.save(tmp_path / "similarity.npy", SIMILARITY)
    np.save(tmp_path / "order.npy", np.array([0, 1, 2, 3, 4, 4]))
    with pytest.raises(UserError, match="6 different whole numbers"):
        neural_similarity(neural(similarity="similarity.npy", order="order.npy"), tmp_path, 6)
