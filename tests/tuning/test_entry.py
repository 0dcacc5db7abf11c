"""An entry in the text of a recipe's file: all else stays, comments included."""

import tomllib
from pathlib import Path

import pytest

from robustbench_pix.catalogue.workspace import SHIPPED
from robustbench_pix.errors import UserError
from robustbench_pix.tuning.entry import with_entry

ENTRY = {
    "task": "mnist",
    "images": "mnist",
    "size": "reduced",
    "network": "resnet18",
    "network_parameters": {"width": 16, "scale": 1.0},
    "alpha": 1e-05,
    "names": ["a", 'b"\\'],
    "flag": True,
    "source": "rbp tune: 24 points",
}
FILE = """\
# A file with comments.
summary = "x"  # here, too
regularizer = "own.py:own"

[[tuned]]  # the first
task = "digits"
alpha = 3.0
# inside

# Of the next one.
[[tuned]]
task = "mnist"
images = "mnist"
size = "reduced"
network = "resnet18"
network_parameters = { width = 16, scale = 1.0 }
alpha = 2.0

# At the end.
"""


def test_a_new_entry_comes_last():
    other = {**ENTRY, "size": "full"}
    text = with_entry(FILE, other, Path("x"))
    assert text.startswith(FILE)
    assert tomllib.loads(text) == {**tomllib.loads(FILE), "tuned": [*tomllib.loads(FILE)["tuned"], other]}


def test_an_entry_for_the_same_is_replaced_and_comments_stay():
    text = with_entry(FILE, ENTRY, Path("x"))
    before, after = tomllib.loads(FILE), tomllib.loads(text)
    assert after == {**before, "tuned": [before["tuned"][0], ENTRY]}
    assert [line for line in text.splitlines() if "#" in line] == [line for line in FILE.splitlines() if "#" in line]
    assert with_entry(text, ENTRY, Path("x")) == text


@pytest.mark.parametrize(
    "changed",
    [{"task": "digits"}, {"images": "natural"}, {"size": "full"}, {"network": "plain"}, {"network_parameters": {}}],
)
def test_an_entry_for_anything_else_is_not_replaced(changed):
    assert len(tomllib.loads(with_entry(FILE, {**ENTRY, **changed}, Path("x")))["tuned"]) == 3


def test_windows_line_ends_stay():
    text = with_entry(FILE.replace("\n", "\r\n"), ENTRY, Path("x"))
    assert text.count("\n") == text.count("\r\n")


def test_entries_in_another_form_are_refused_with_the_entry_to_add():
    text = FILE.partition("[[tuned]]")[0] + 'tuned = [{ task = "digits", alpha = 1.0 }]\n'
    with pytest.raises(UserError, match=r"cannot be written into here\.toml.*alpha = 1e-05"):
        with_entry(text, ENTRY, Path("here.toml"))


@pytest.mark.parametrize("path", sorted((SHIPPED / "models").glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_file_takes_an_entry(path):
    text = path.read_text()
    before, after = tomllib.loads(text), tomllib.loads(with_entry(text, ENTRY, path))
    assert after == {**before, "tuned": [*before.get("tuned", []), ENTRY]}
