"""Whatever surrounds a command: encodings, what others' code prints and raises, files of the user, no home."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from robustbench_pix.cli import main

ROOT = Path(__file__).parents[2]
NOISY = """\
import ctypes, os, sys
import torch
from torch import nn
print("on import")

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.last = nn.Linear(64, 10)
    def forward(self, images):
        print("forward")
        os.write(1, b"by number")
        sys.__stdout__.write("by the first name")
        ctypes.CDLL(None).puts(b"from C")
        return self.last(images.flatten(1))

def net():
    print("loader")
    return Net()
"""
PENALTIES = """\
def exits(step): exit()
def exits_with_0(step): raise SystemExit(0)
def interrupts(step): raise KeyboardInterrupt
def closes(step): raise GeneratorExit
def raises(step): raise BaseException("odd")
"""
SHADOWS = ("foolbox.py", "art.py", "queue.py", "random.py", "torchattacks.py", "json.py")


def environment(**more):
    return {**os.environ, "PYTHONPATH": str(ROOT), "RBP_DATA": "/nowhere", **more}


def program(arguments, folder, **options):
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=300, check=False, **options
    )


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii", "cp437", "gbk", "utf-8"])
def test_a_board_is_shown_in_any_encoding(workspace, run, encoding):
    said = run()
    assert said.code == 0
    shown = CliRunner(charset=encoding).invoke(main, ["leaderboard"])
    assert shown.exit_code == 0, shown.exception
    text = shown.stdout_bytes.decode(encoding)
    assert "unregularized" in text
    assert "?" not in text
    widths = [len(line) for line in text.splitlines()]
    assert widths == [len(line) for line in CliRunner().invoke(main, ["leaderboard"]).stdout.splitlines()]


def test_what_others_print_is_no_part_of_the_output(workspace):
    (workspace / "noisy.py").write_text(NOISY)
    options = ["--task", "tiny", "--suite", "noise", "--device", "cpu", "--format", "json", "--workers", "1"]
    done = program(
        ["-m", "robustbench_pix", "evaluate", "--model", "noisy.py:net", *options], workspace, env=environment()
    )
    assert done.returncode == 0, done.stderr
    assert [row["recipe"] for row in json.loads(done.stdout)] == ["net"]
    for text in ("on import", "loader", "forward", "by number", "by the first name", "from C"):
        assert done.stderr.count(text) >= 2, text  # Of the parent, which asks the model first, and of the worker.


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_what_ends_a_program_fails_one_job(workspace, run, executor):
    (workspace / "models/bad.py").write_text(PENALTIES)
    names = [line.partition("(")[0].removeprefix("def ") for line in PENALTIES.splitlines()]
    for name in names:
        text = f'summary = "x"\nregularizer = "bad.py:{name}"\nparameters = {{ alpha = 0.1 }}\n'
        (workspace / f"models/{name}.toml").write_text(text)
    said = run("--format", "csv", "--executor", executor, "--workers", "1", recipes=[*names, "unregularized"])
    assert said.code == 1
    rows = {row["recipe"]: row for row in csv.DictReader(io.StringIO(said.out))}
    assert rows["unregularized"]["status"] == "complete"
    for name, raised in zip(names, ("System", "System", "KeyboardInterrupt", "GeneratorExit", "Base"), strict=True):
        assert (rows[name]["status"], raised in rows[name]["note"]) == ("failed", True), rows[name]


@pytest.mark.parametrize("raised", ["SystemExit(0)", "KeyboardInterrupt", "GeneratorExit"])
@pytest.mark.parametrize("place", ["def net(): raise {}", "raise {}", "def net():\n  return Net()"])
def test_a_model_that_ends_the_program_is_one_sentence(workspace, rbp, raised, place):
    body = f"from torch import nn\nclass Net(nn.Module):\n  def forward(self, images): raise {raised}\n"
    (workspace / "net.py").write_text(body + place.format(raised))
    said = rbp("evaluate", "--model", "net.py:net", "--task", "tiny", "--suite", "noise", "--executor", "inline")
    assert raised.partition("(")[0] in said.refusal


def test_ctrl_c_still_ends_the_run(workspace, run):
    (workspace / "models/slow.py").write_text(
        "import os, signal\ndef slow(step):\n  os.kill(os.getpid(), signal.SIGINT)\n  return step.first[0].mean()\n"
    )
    text = 'summary = "x"\nregularizer = "slow.py:slow"\nparameters = { alpha = 0.1 }\n'
    (workspace / "models/slow.toml").write_text(text)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        said = run(recipes=["slow", "unregularized"])
    finally:
        signal.signal(signal.SIGINT, before)
    assert said.code == 130
    assert "Stopped." in said.err


SCRIPT = """\
import robustbench_pix as rbp
@rbp.attack("mine")
def mine(target, images, labels, strengths, keys):
    return (images for _ in strengths)
measured = rbp.run(suite="noise", recipes="unregularized", on="tiny", seeds=1, device="cpu", workers=1)
print(len(measured))
"""


def test_an_unguarded_script_from_standard_input_among_files_named_like_libraries(workspace):
    for name in SHADOWS:
        (workspace / name).write_text("raise RuntimeError('this is no library')\n")
    folder = workspace / ("t" * 120)
    folder.mkdir()
    done = program(["-"], workspace, input=SCRIPT, env=environment(TMPDIR=str(folder)))
    assert (done.returncode, done.stdout.strip()) == (0, "3"), done.stderr
    assert done.stderr.count("jobs to do") == 1
    assert "Traceback" not in done.stderr


def test_the_command_line_among_files_named_like_libraries(workspace):
    for name in SHADOWS:
        (workspace / name).write_text("raise RuntimeError('this is no library')\n")
    (workspace / "net.py").write_text(NOISY)
    (workspace / "attacks/suites/foolbox.toml").write_text('version = 1\nsummary = "x"\nattacks = ["boundary"]\n')
    arguments = ["--model", "net.py:net", "--task", "tiny", "--suite", "foolbox", "--device", "cpu", "--workers", "1"]
    done = program(["-m", "robustbench_pix", "evaluate", *arguments, "--format", "csv"], workspace, env=environment())
    assert done.returncode == 0, done.stderr
    assert [row["status"] for row in csv.DictReader(io.StringIO(done.stdout))] == ["complete"]


def test_nobody_needs_a_home_for_digits(workspace, run, rbp, monkeypatch):
    for name in ("HOME", "RBP_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # As with a user id that has no account.
    assert run().code == 0
    assert rbp("run", "--dry-run", "--on", "tiny", "--suite", "noise", "--device", "cpu").code == 0
    refused = rbp("run", "--on", "mnist", "--suite", "noise", "--executor", "inline").refusal
    assert refused.startswith("There is no place for data sets, since HOME is not set")
    assert "--data-root or RBP_DATA" in refused


@pytest.mark.skipif(os.name != "posix", reason="limits and descriptors of POSIX")
def test_closed_output_few_files_and_small_files_and_memory(workspace):
    command = f"{sys.executable} -m robustbench_pix run --suite noise --on tiny --recipe unregularized --seeds 1"
    command += " --device cpu --workers 1"

    def shell(text):
        return subprocess.run(
            ["bash", "-c", text], cwd=workspace, capture_output=True, text=True, timeout=300, check=False,
            env=environment(),
        )  # fmt: skip

    small = shell(f"ulimit -f 20; {command} --executor inline")
    assert small.returncode == 1
    assert "ulimit -f unlimited allows more" in small.stderr.splitlines()[-1]
    tight = shell(f"ulimit -v 1000000; {command}")
    assert (tight.returncode, len(tight.stderr.splitlines())) == (1, 1)
    assert "of address space, too little" in tight.stderr
    closed = shell(f"ulimit -n 16; {command} >&-")
    assert closed.returncode == 0, closed.stderr
    assert "Traceback" not in closed.stderr
    for buffering in ("-u PYTHONUNBUFFERED", "PYTHONUNBUFFERED=1"):
        full = shell(f"env {buffering} {sys.executable} -m robustbench_pix leaderboard > /dev/full")
        assert full.returncode == 1
        assert full.stderr.count("\n") == 1


PRINTING = """
import sys
import rich_click as click
from robustbench_pix.cli import main

@main.command()
@click.pass_context
def say(context):
    for _ in range(int(sys.argv[2])):
        print("x" * 99)
    context.exit(3)

main(["say"])
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("lines", [1, 60, 200])
def test_a_command_with_an_exit_code_of_its_own_says_that_nothing_could_be_written(tmp_path, lines):
    """Less than a buffer, nearly one, and more."""
    buffered = {name: value for name, value in environment().items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", PRINTING, "", str(lines)], cwd=tmp_path, env=buffered, stdout=full,
            stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
