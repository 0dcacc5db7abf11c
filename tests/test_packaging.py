"""The wheel holds every file of the package and of the catalogue, and nothing hides one."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl"))).namelist()


def test_every_file_is_in_the_wheel(wheel_names):
    package = {p.relative_to(ROOT).as_posix() for p in ROOT.glob("robustbench_pix/**/*") if p.is_file()}
    package = {name for name in package if "__pycache__" not in name}
    catalogue = {p.relative_to(ROOT).as_posix() for top in ("attacks", "models") for p in ROOT.glob(f"{top}/**/*.toml")}
    published = {p.relative_to(ROOT).as_posix() for p in ROOT.glob("leaderboard/**/*.csv")}
    expected = package | {f"robustbench_pix/shipped/{name}" for name in catalogue | published}
    assert len(package) > 60
    assert len(catalogue) > 20
    assert {name for name in wheel_names if ".dist-info/" not in name} == expected


def test_the_catalogue_folders_hold_no_code():
    assert not [p for top in ("attacks", "models") for p in (ROOT / top).rglob("*.py")]


def test_what_ci_and_the_readme_say_agree():
    readme, ci = (ROOT / "README.md").read_text(), (ROOT / ".ci/run").read_text()
    assert "pip install . && rbp run --suite blackbox" in readme
    assert "grep -m 1 -E '^pip install .*pytest' README.md" in ci
    assert sum(line.startswith("pip install") and "pytest" in line for line in readme.splitlines()) == 1


def test_versions_agree():
    import robustbench_pix

    citation = (ROOT / "CITATION.cff").read_text()
    assert f"version: {robustbench_pix.__version__}" in citation
    assert f"## {robustbench_pix.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11"
    assert "torch>=2.6" in project["dependencies"]
