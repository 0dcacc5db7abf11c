"""The commands in this process, in a tiny workspace that is the current folder."""

from typing import NamedTuple

import pytest
from click.testing import CliRunner

from robustbench_pix.cli import main
from tests.workspaces import tiny_workspace

SUITE = 'version = 1\nsummary = "One cheap attack"\nattacks = ["gaussian"]\n'


class Said(NamedTuple):
    """What a command said, and with what exit code it ended."""

    code: int
    out: str
    err: str

    @property
    def refusal(self):
        """The one sentence of an error that a user can mend."""
        assert self.code == 1, self
        line = self.err.strip()
        assert line.startswith("Error: "), self
        assert "\n" not in line
        assert line.endswith((".", ".)", "?"))
        return line.removeprefix("Error: ")


@pytest.fixture
def workspace(tmp_path, monkeypatch, finished_jobs):
    """Give a tiny workspace with the suites ``tiny`` and, of noise alone, ``noise``; it is the current folder."""
    tiny_workspace(tmp_path)
    (tmp_path / "attacks/suites/noise.toml").write_text(SUITE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RBP_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.fixture
def rbp(workspace):
    """Give a function that does a command of the command line, and says what it said."""

    def command(*arguments):
        result = CliRunner().invoke(main, list(map(str, arguments)))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    return command


@pytest.fixture
def run(rbp):
    """Give a function that does ``rbp run`` of noise on the tiny task, in this process."""

    def command(*arguments, recipes=("unregularized",), suite="noise", seeds="1"):
        chosen = [part for recipe in recipes for part in ("--recipe", recipe)]
        common = ("--on", "tiny", "--suite", suite, "--seeds", seeds, "--executor", "inline", "--device", "cpu")
        return rbp("run", *common, *chosen, *arguments)

    return command
