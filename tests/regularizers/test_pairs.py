import itertools

import torch

from robustbench_pix.regularizers.pairs import condensed, pair_count, unrank


def test_unrank_against_itertools():
    rows, columns = unrank(torch.arange(pair_count(37)), 37)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == list(itertools.combinations(range(37), 2))


def test_unrank_is_exact_for_every_pair_of_5000_images():
    images = 5000
    rows, columns = unrank(torch.arange(pair_count(images)), images)
    expected_rows, expected_columns = torch.triu_indices(images, images, offset=1)
    assert torch.equal(rows, expected_rows)
    assert torch.equal(columns, expected_columns)


def test_condensed_follows_the_same_order():
    matrix = torch.arange(16.0).reshape(4, 4)
    rows, columns = unrank(torch.arange(pair_count(4)), 4)
    assert torch.equal(condensed(matrix), matrix[rows, columns])
