"""What reviews forged without being noticed: origins, names of runs, median distances, commands, files of no table."""

import hashlib
import json
import re
import shutil

import numpy as np
import pytest

from robustbench_pix.results.checks.provenance_checks import false_commands
from robustbench_pix.results.published.verification import verify
from robustbench_pix.results.published.writing import SUMS, changed_files, write_sums
from tests.leaderboard.conftest import Table, rbp

GAUSSIAN = {"recipe": "thresholded", "seed": 1, "attack": "gaussian", "strength": "0.4"}
FGSM = {"recipe": "thresholded", "seed": 1, "attack": "transfer-fgsm", "strength": "0.3"}
BOUNDARY = {"recipe": "thresholded", "seed": 1, "attack": "boundary"}


def found(folder, *, summed_anew=True):
    """Return what verification finds; a forger has written SHA256SUMS anew."""
    if summed_anew:
        write_sums(folder, [path.name for path in folder.iterdir()])
    return [str(finding) for finding in verify(folder)]


def test_every_file_is_under_a_digest_that_sha256sum_reads(made, copy):
    sums = dict(reversed(line.split("  ")) for line in (copy / SUMS).read_text().splitlines())
    assert sums == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in copy.iterdir() if path.name != SUMS
    }
    assert {"index.html", "leaderboard.svg", "README.md", "schema.json", "examples.parquet"} <= set(sums)


def test_a_change_of_any_file_is_named(copy):
    names = ["index.html", "leaderboard.svg", "README.md", "schema.json", "costs.csv"]
    texts = {name: (copy / name).read_text() for name in names}
    for name, text in texts.items():
        (copy / name).write_text(text[::-1].replace("e", "3", 1)[::-1])
    told = found(copy, summed_anew=False)
    assert all(any(one.startswith(name) for one in told) for name in names)
    for name, text in texts.items():
        (copy / name).write_bytes(text.replace("\n", "\r\n").encode())  # as git writes it on some systems
    assert changed_files(copy) == {}


def test_what_is_missing_is_named_but_for_the_large_outcomes(copy):
    (copy / "index.html").unlink()
    (copy / "examples.parquet").unlink()
    assert found(copy, summed_anew=False) == ["index.html: there is none, though one was published."]
    (copy / SUMS).unlink()
    assert found(copy, summed_anew=False) == [f"{SUMS}: there is none; rbp publish writes it."]


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("device", "an unknown accelerator", "ran on another device than an unknown accelerator"),
        ("processor", "Another One", "did not run on device cpu, processor Another One"),
        ("what", "gaussian on pixel, tiny:tiny, seed 1", "is not what measurements.csv says of attack"),
    ],
)
def test_origins_in_costs_are_held_against_the_other_files(copy, column, value, words):
    costs = Table(copy / "costs.csv")
    costs.write(costs.where(what="gaussian on thresholded, tiny:tiny, seed 1"), **{column: value})
    assert any(one.startswith("costs.csv, row") and words in one for one in found(copy))


def test_origins_of_measurements_are_held_against_the_provenance(copy):
    (copy / "examples.parquet").unlink()
    for column in ("version", "torch", "device"):
        measured = Table(copy / "measurements.csv")
        measured.write(measured.where(**GAUSSIAN), **{column: "9.9"})
        told = [one for one in found(copy) if "as provenance.json has it" in one]
        assert any(column in one for one in told)


@pytest.mark.parametrize("column", ["median_l2", "median_linf", "median_squared_l2_per_pixel", "mean_queries"])
def test_medians_follow_from_the_outcomes_of_images(copy, column):
    measured, cells = Table(copy / "measurements.csv"), (GAUSSIAN, FGSM, {**BOUNDARY, "strength": "1"})
    for cell in cells:
        (place,) = measured.where(**cell)
        measured.write([place], **{column: measured.number(place, column) * 0.99 + 0.001})
    told = " ".join(one for one in found(copy) if one.startswith("examples.parquet") and column in one)
    assert all(f"{cell['attack']} on {cell['recipe']}" in told for cell in cells)


@pytest.mark.parametrize(("column", "value"), [("chance", "0.5"), ("unanswered", "1")])
def test_what_is_counted_over_images_follows_from_their_outcomes(copy, column, value):
    measured = Table(copy / "measurements.csv")
    measured.write(measured.where(**GAUSSIAN), **{column: value})
    assert any(one.startswith(f"examples.parquet, {column}: gaussian on") for one in found(copy))


COMMANDS = [
    ("curl https://example.org | sh", False),
    ("{}; rm -rf x", False),
    ("{} && true", False),
    ("{} $(id)", False),
    ("{} --weights x", False),
    ("{} --check-gradients", True),
    ("{} --colour gray", True),
    ("{} --colour rgb", False),
    ("", False),
    ("rbp 'run", False),
]


@pytest.mark.parametrize(("command", "holds"), COMMANDS)
def test_a_command_of_another_row_or_of_a_shell_is_found(copy, command, holds):
    provenance = json.loads((copy / "provenance.json").read_text())
    assert false_commands(provenance) == []
    (row,) = (row for row in provenance["rows"] if row["recipe"] == "thresholded")
    row["command"] = command.format(row["command"])
    assert (false_commands(provenance) == []) == holds


def test_a_false_command_is_said(copy):
    provenance = json.loads((copy / "provenance.json").read_text())
    (row,) = (row for row in provenance["rows"] if row["recipe"] == "thresholded")
    row["command"] += " --weights x"
    (copy / "provenance.json").write_text(json.dumps(provenance))
    assert any("provenance.json, command: that of thresholded" in one for one in found(copy))


@pytest.mark.parametrize(
    ("old", "new"), [("--seeds 0,1", "--seeds 0,1,2"), ("--on tiny", "--on mnist"), ("run", "rum")]
)
def test_a_command_is_that_of_its_row(copy, old, new):
    provenance = json.loads((copy / "provenance.json").read_text())
    row = next(row for row in provenance["rows"] if row["recipe"] == "unregularized")
    assert old in row["command"]
    row["command"] = row["command"].replace(old, new, 1)
    assert len(false_commands(provenance)) == 1


def test_a_flipped_bit_in_the_outcomes_of_images_is_named_and_no_traceback(copy):
    random, file = np.random.default_rng(0), copy / "examples.parquet"
    content = file.read_bytes()
    for place in random.integers(len(content), size=3):
        data = bytearray(content)
        data[place] ^= 1 << int(random.integers(8))
        file.write_bytes(data)
        said = rbp("verify", copy)
        assert said.exit_code == 1
        assert "examples.parquet" in said.output


def _nothing(content):
    content.clear()


def _no_attacks(content):
    content["rows"][0]["attacks"]["gaussian"] = []


def _text_for_rows(content):
    content["rows"] = "none"


def _no_evaluation(content):
    next(iter(content["attacks"].values())).pop("evaluation")


def _no_dataset(content):
    content["rows"][0]["data"] = None


def _one_strength(content):
    next(iter(content["attacks"].values()))["strengths"] = [0.0]


def _descending(content):
    next(iter(content["attacks"].values()))["strengths"].reverse()


FORMS = [_nothing, _no_attacks, _text_for_rows, _no_evaluation, _no_dataset, _one_strength, _descending]


@pytest.mark.parametrize("change", FORMS)
def test_a_provenance_of_another_form_is_one_sentence(copy, change):
    file = copy / "provenance.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    said = rbp("verify", copy)
    assert said.exit_code == 1
    assert re.search(r"provenance\.json cannot be read as provenance: .*Restore it", " ".join(said.output.split()))


@pytest.mark.parametrize(("end", "refused"), [("\x1b]52;c;aGk=\x07", True), ("\x9b2J", True), ("\\u001b", False)])
def test_a_provenance_that_writes_to_a_terminal_is_refused(copy, end, refused):
    file = copy / "provenance.json"
    content = json.loads(file.read_text())
    content["rows"][0]["command"] += end
    file.write_text(json.dumps(content))
    said = rbp("verify", copy)
    assert said.exit_code == 1
    assert ("holds control characters, which a terminal would obey" in " ".join(said.output.split())) is refused


def test_a_half_finished_publish_is_named_however_far_it_came(made, tmp_path):
    """The files of one publish beside those of another one, in any order, as copies and old versions left them."""
    whole = made / "leaderboard"
    files = sorted(path.name for path in whole.iterdir())
    for there in range(1, len(files), 3):
        half = tmp_path / f"half-{there}"
        half.mkdir()
        for name in files[:there]:
            shutil.copy(whole / name, half / name)
        said = rbp("verify", half)
        optional = files[there:] == ["examples.parquet"]
        assert said.exit_code == (0 if optional else 1), (there, said.output)
