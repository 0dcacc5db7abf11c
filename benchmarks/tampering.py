"""Are changed files noticed? Random corruptions of a workspace, and random forgeries of a published folder.

python benchmarks/tampering.py [--corruptions 500] [--forgeries 500] [--seed 0] [--tiny]

A corruption is noticed if a command names it or does its job again; it is mended if the board then is what it was. A
forgery is made twice: with SHA256SUMS as it was, which names any change, and with SHA256SUMS written anew, so that only
what follows from other files tells it. What then goes unnoticed must be stated as underivable.
"""

import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import options
from benchmarks.changes import CHANGES
from benchmarks.forgeries import forge, is_stated
from benchmarks.report import Report, Table
from robustbench_pix.cli import main as rbp
from robustbench_pix.results.published.writing import write_sums
from tests.workspaces import LEARNT, tiny_workspace

NET = "from torch import nn\ndef net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
HERE = ("--executor", "inline", "--device", "cpu")
COMMANDS = (
    ("run", "--suite", "tiny", "--on", "tiny", "--recipe", "unregularized", "--recipe", "thresholded", "--seeds", "1"),
    ("evaluate", "--model", "net.py:net", "--task", "tiny", "--suite", "tiny", "--check-gradients"),
)
BOARD = ("leaderboard", "--on", "tiny", "--format", "csv")
NAMED = ("is damaged (", "cannot be used (", "missing: ", "job to do", "jobs to do")
CORRUPTED = (
    "Unnoticed would be a changed file that no command names or makes again; traceback, a command that fails so. A "
    "plan that is deleted as a whole takes its rows off the board without a word, until its command runs again."
)
FORGED = (
    "By sums: with SHA256SUMS as published. Derived: noticed although SHA256SUMS was written anew. Stated: unnoticed "
    "then, as rbp verify says. Unnoticed must be 0."
)


class Said(NamedTuple):
    """What commands said, and the exception that none should raise."""

    out: str
    err: str
    traceback: str


@click.command()
@options.output
@options.tiny
@click.option("--corruptions", default=500, show_default=True)
@click.option("--forgeries", default=500, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(output: Path, tiny: bool, corruptions: int, forgeries: int, seed: int) -> None:
    """Spoil a small workspace and its published folder again and again."""
    counts = (4, 8) if tiny else (corruptions, forgeries)
    report = Report("tampering", "cpu", output, f"Seed {seed}; {counts[0]} corruptions and {counts[1]} forgeries.")
    with tempfile.TemporaryDirectory() as folder:
        workspace = made(Path(folder) / "workspace")
        report.add(Table("Corruptions of runs/", CORRUPTED, corrupted(workspace, counts[0], seed)))
        report.add(Table("Forgeries of leaderboard/", FORGED, forged(workspace / "leaderboard", counts[1], seed)))


def made(folder: Path) -> Path:
    """Run and publish a small workspace: two recipes, a given model, a check, three attacks."""
    tiny_workspace(folder)
    (folder / "models/tasks/tiny.toml").write_text(LEARNT)  # attacks need images that models get right
    (folder / "net.py").write_text(NET)
    said = [_do(folder, *command, *HERE) for command in COMMANDS] + [_do(folder, "publish", "--examples")]
    assert not any(one.traceback for one in said), said
    return folder


def corrupted(workspace: Path, count: int, seed: int) -> list[dict[str, str | int]]:
    """Return for each kind of file and change how many corruptions were noticed and mended."""
    random, counts = np.random.default_rng([seed, 1]), Counter[tuple[str, str, str]]()
    board = _do(workspace, *BOARD).out
    with tempfile.TemporaryDirectory() as place:
        while sum(value for (_, _, what), value in counts.items() if what == "tried") < count:
            copy = shutil.copytree(workspace, Path(place) / "copy")
            files = sorted(path for path in (copy / "runs").rglob("*") if path.is_file())
            # Kinds of files, not files, are equally likely: there are many attacks and few models.
            kinds = sorted({_kind(file) for file in files})
            kind, name = kinds[random.integers(len(kinds))], list(CHANGES)[random.integers(len(CHANGES))]
            chosen = [file for file in files if _kind(file) == kind]
            if CHANGES[name](chosen[random.integers(len(chosen))], random):
                for what in ("tried", *_outcome(copy, board)):
                    counts[kind, name, what] += 1
            shutil.rmtree(copy)
    told = ("tried", "noticed", "unnoticed", "mended", "traceback", "silently another board")
    pairs = sorted({key[:2] for key in counts})
    return [{"file": kind, "change": name, **{what: counts[kind, name, what] for what in told}} for kind, name in pairs]


def _kind(file: Path) -> str:
    return f"{file.parent.name.partition('-')[0]}/{'*.json' if file.parent.name == 'plans' else file.name}"


def _outcome(workspace: Path, board: str) -> list[str]:
    first = _do(workspace, *BOARD)
    again = [_do(workspace, *command, *HERE) for command in COMMANDS]
    last = _do(workspace, *BOARD)
    said = "".join(one.out + one.err for one in (first, *again, last))
    named = any(words in said for words in NAMED)
    told = any(words in first.out + first.err for words in NAMED)
    found = ["noticed" if named else "unnoticed"]
    found += ["mended"] if last.out == board else []
    found += ["traceback"] if any(one.traceback for one in (first, *again, last)) else []
    return found + (["silently another board"] if first.out != board and not told else [])


def forged(published: Path, count: int, seed: int) -> list[dict[str, str | int]]:
    """Return for each file how many forgeries were noticed, and by what."""
    random, counts = np.random.default_rng([seed, 2]), Counter[tuple[str, str]]()
    unstated: dict[str, list[str]] = {}
    untouched = _do(published, "verify", str(published))
    assert not _failed(untouched), untouched
    with tempfile.TemporaryDirectory() as place:
        for _ in range(count):
            copy = shutil.copytree(published, Path(place) / "copy")
            file, column = forge(copy, random)
            by_sums = _do(copy, "verify", str(copy))
            write_sums(copy, [path.name for path in copy.iterdir()])
            derived = _do(copy, "verify", str(copy))
            counts[file, "tried"] += 1
            counts[file, "by sums"] += _failed(by_sums)
            counts[file, "traceback"] += bool(by_sums.traceback or derived.traceback)
            what = "derived" if _failed(derived) else "stated" if is_stated(file, column) else "unnoticed"
            counts[file, what] += 1
            if what == "unnoticed":
                unstated.setdefault(file, []).append(column)
            shutil.rmtree(copy)
    told = ("tried", "by sums", "derived", "stated", "unnoticed", "traceback")
    files = sorted({file for file, _ in counts})
    return [
        {"file": file, **{what: counts[file, what] for what in told}, "columns": ", ".join(unstated.get(file, []))}
        for file in files
    ]


def _failed(said: Said) -> bool:
    return "the files agree with each other" not in said.out


def _do(folder: Path, *command: str) -> Said:
    """Do a command of the command line in a folder, in this process."""
    with _in(folder):
        result = CliRunner().invoke(rbp, list(command))
    raised = result.exception
    expected = raised is None or isinstance(raised, SystemExit)
    return Said(result.stdout, result.stderr, "" if expected else repr(raised))


@contextmanager
def _in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


if __name__ == "__main__":
    main()
