import base64
import io

import numpy as np
import pytest
from PIL import Image

from robustbench_pix.leaderboard.page.gallery import data_uri


def decoded(address):
    head, _, content = address.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content, validate=True))))


@pytest.mark.parametrize("shape", [(8, 8), (1, 3), (5, 2, 3), (8, 8, 3), (200, 150, 3)])
def test_another_library_reads_the_levels_back(shape):
    levels = np.random.default_rng(len(shape)).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(decoded(data_uri(levels.tobytes(), *shape[:2])), levels)


def test_eight_by_eight_pixels_take_140_bytes():
    assert len(base64.b64decode(data_uri(bytes(range(64)), 8, 8).partition(",")[2])) == 140
