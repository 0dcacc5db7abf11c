"""A tiny workspace that was really run and published, once a module, to be verified, forged and compared."""

import shutil

import pandas as pd
import pytest
from click.testing import CliRunner

from robustbench_pix import run
from robustbench_pix.cli import main
from robustbench_pix.results.published.verification import verify as verify_files
from robustbench_pix.results.published.writing import write_sums
from tests.finished_jobs import kept
from tests.workspaces import LEARNT, tiny_workspace

NET = "from torch import nn\ndef net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"


def rbp(*arguments):
    """Do a command and return its result; what is no ordinary exit is raised."""
    result = CliRunner().invoke(main, list(map(str, arguments)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="session")
def made(tmp_path_factory, finished_jobs_folder):
    """Give a workspace with runs and leaderboard/: noise, transfer and distances on trained recipes and a given net."""
    folder = tiny_workspace(tmp_path_factory.mktemp("made"))
    (folder / "models/tasks/tiny.toml").write_text(LEARNT)
    recipes = ["unregularized", "thresholded", "neural"]
    (folder / "net.py").write_text(NET)
    with pytest.MonkeyPatch.context() as patch, kept(finished_jobs_folder):
        run(suite="tiny", recipes=recipes, on="tiny", seeds="2", workspace=folder, executor="inline", device="cpu")
        patch.chdir(folder)
        given = ("--model", "net.py:net", "--task", "tiny", "--suite", "tiny", "--executor", "inline")
        assert rbp("evaluate", *given, "--device", "cpu").exit_code == 0
    assert rbp("publish", "--examples", "--workspace", folder).exit_code == 0
    return folder


@pytest.fixture
def copy(made, tmp_path):
    """Give a copy of the published folder, to be spoilt."""
    return shutil.copytree(made / "leaderboard", tmp_path / "copy")


def verify(folder, store=None):
    """Verify a folder whose forger has written SHA256SUMS anew, so that only what follows from other files tells it."""
    write_sums(folder, [path.name for path in folder.iterdir()])
    return verify_files(folder, store)


class Table:
    """A published table as text, of which fields can be changed without changing any other."""

    def __init__(self, file):
        self.file = file
        self.rows = pd.read_csv(file, dtype=str, keep_default_na=False)

    def where(self, **fields):
        """Return the places of the rows that have these fields."""
        chosen = pd.Series(True, index=self.rows.index)
        for name, value in fields.items():
            chosen &= self.rows[name] == str(value)
        assert chosen.any()
        return list(self.rows.index[chosen])

    def number(self, place, name):
        return float(self.rows.loc[place, name])

    def write(self, places=(), **values):
        """Set fields in rows, and write the file."""
        for name, value in values.items():
            self.rows.loc[places, name] = value if isinstance(value, str) else f"{value:.10g}"
        self.rows.to_csv(self.file, index=False, lineterminator="\n")
