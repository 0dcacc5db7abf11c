"""What is read quickly is what the strict reader reads; what that one refuses is not read quickly."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from robustbench_pix.results.columns import MEASUREMENTS, Column
from robustbench_pix.results.published.csv_io import lines, parsed, quickly_parsed, to_csv_text
from tests.tables import DISTANCE_ONLY, measurements

COLUMNS = (Column("a", "text", ""), Column("b", "integer", ""), Column("c", "number", ""))
GOOD = b"a,b,c\nx,1,0.5\n"


@pytest.mark.parametrize(
    "data",
    [
        GOOD,
        b"a,b,c\n",
        b"c,a,b\n0.1,x,2\n",
        b"a,b,c\nx,9007199254740993,0.1\n,,\n",
        b'a,b,c\n"x, ""y""",,1e-320\n"",3,nan\n',
        b'a,b,c\n"two\nlines",1,1\n',
        GOOD + b'"two\nlines",1,1\n' * 100_000,  # more than Arrow reads at a time
        "a,b,c\n–é,1,1\nNA,2,2\nnull,3,3".encode(),
    ],
)
def test_the_same_as_the_strict_reader(data):
    quick = quickly_parsed(data, COLUMNS)
    assert quick is not None
    pd.testing.assert_frame_equal(quick, parsed(lines(data, Path("f")), COLUMNS, Path("f")), check_exact=True)


def test_measurements_are_the_same_to_the_bit():
    some = measurements(attacks=("gaussian", "boundary", DISTANCE_ONLY))
    random = np.random.default_rng(0)
    some["median_l2"] = random.uniform(0, 1, len(some)) * 10.0 ** random.integers(-30, 30, len(some))
    some.loc[::3, "flags"] = 'masked: "so", they say'
    data = to_csv_text(some, MEASUREMENTS).encode()
    strict = parsed(lines(data, Path("f")), MEASUREMENTS, Path("f"))
    pd.testing.assert_frame_equal(quickly_parsed(data, MEASUREMENTS), strict, check_exact=True)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD.replace(b"c\n", b"d\n"),
        GOOD.replace(b"c\n", b"c,d\n"),
        GOOD + b"x,1\n",
        GOOD + b"x,1,1,1\n",
        GOOD + b"\n" + GOOD[6:],
        GOOD + b"x,1.5,1\n",
        GOOD + b"x,many,1\n",
        GOOD + b"x,1,NA\n",
        GOOD + b'"x,1,1\n',
        GOOD + b'"x"y,1,1\n',
        GOOD + b'x "y" z,1,1\n',
        GOOD + b"\xff,1,1\n",
        GOOD.replace(b"\n", b"\r\n"),
    ],
)
def test_what_is_damaged_or_doubtful_is_left_to_the_strict_reader(data):
    assert quickly_parsed(data, COLUMNS) is None
