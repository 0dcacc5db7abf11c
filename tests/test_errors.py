"""Exceptions of the package are plain ones: the command line alone makes click's of them."""

import pickle

import click
import pytest
from click.testing import CliRunner

import robustbench_pix as rbp
from robustbench_pix.cli import main
from robustbench_pix.errors import JobFailedError


@pytest.mark.parametrize("kind", [rbp.RobustBenchPixError, rbp.UserError, JobFailedError])
def test_an_error_is_one_line_and_travels_between_processes(kind):
    error = pickle.loads(pickle.dumps(kind("what is wrong,\n and how to mend it")))
    assert type(error) is kind
    assert str(error) == "what is wrong, and how to mend it"
    assert isinstance(error, rbp.RobustBenchPixError)
    assert not isinstance(error, click.ClickException)


def test_the_command_line_prints_it_and_exits_with_1(monkeypatch, tmp_path):
    def fails(*arguments):
        raise rbp.RobustBenchPixError("of another kind")

    monkeypatch.setattr("robustbench_pix.catalogue.workspace.Workspace.names", fails)
    done = CliRunner().invoke(main, ["recipes", "--workspace", str(tmp_path)])
    assert (done.exit_code, done.stderr) == (1, "Error: of another kind\n")
