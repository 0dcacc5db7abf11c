"""What the README shows is what happens."""

import csv
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from robustbench_pix.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def block(first_line: str) -> str:
    """Return the code block that begins with this line."""
    blocks = re.findall(r"```\w*\n(.*?)```", README, flags=re.DOTALL)
    return next(text for text in blocks if text.startswith(first_line))


def test_a_regularizer_of_your_own_in_an_empty_folder(tmp_path):
    code, recipe, command = block("# models/ours.py"), block("# models/ours.toml"), block("rbp run --suite smoke")
    assert len((code + recipe + command).splitlines()) < 20
    for name, text in (("models/ours.py", code), ("models/ours.toml", recipe)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    task = (ROOT / "models/tasks/digits.toml").read_text()
    assert "epochs = " in task
    (tmp_path / "models/tasks").mkdir()
    (tmp_path / "models/tasks/digits.toml").write_text(re.sub(r"epochs = \d+", "epochs = 2", task))
    arguments = command.split()[1:]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, "-m", "robustbench_pix", *arguments],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    assert "ours" in process.stdout
    assert "unregularized" in process.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs", "models", "runs"]


def test_every_command_is_in_the_readme():
    for command in main.commands:
        assert f"rbp {command}" in README, command


def test_every_file_that_the_readme_links_to_is_there():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def published(table: str, task: str = "digits") -> list[dict[str, str]]:
    with (ROOT / "leaderboard" / table).open(newline="") as file:
        return [row for row in csv.DictReader(file) if (row["task"], row["suite"]) == (task, "blackbox")]


def test_the_findings_are_those_of_the_published_files():
    comparisons = {row["recipe"]: row for row in published("comparisons.csv") if row["role"] == "baseline"}
    section = README.partition("<!-- python docs/findings_table.py -->\n")[2]
    lines = section.partition("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "| `" in line]
    stated = {name.strip("`"): numbers for name, _, *numbers in rows}
    assert set(stated) == set(comparisons)
    for recipe, (gain, p_value, detectable, verdict) in stated.items():
        row = comparisons[recipe]
        found = [float(number) for number in re.findall(r"[-+]?\d\.\d+", gain)]
        assert found == [round(float(row[name]), 3) for name in ("difference", "low", "high")], recipe
        assert float(p_value) == pytest.approx(float(row["p_adjusted"]), abs=0.0005 if len(p_value) < 6 else 0.00005)
        assert float(detectable) == round(float(row["detectable"]), 3)
        assert verdict == row["verdict"]
    (mnist,) = (row for row in published("comparisons.csv", "mnist") if row["role"] == "baseline")
    gain, low, high = (f"{float(mnist[name]):+.3f}".replace("0.", ".") for name in ("difference", "low", "high"))
    assert mnist["verdict"] == "better"
    assert f"`thresholded` gains {gain} [{low.removeprefix('+')}, {high.removeprefix('+')}]" in README


def test_the_table_of_recipes_and_controls_is_that_of_their_files():
    script = runpy.run_path(str(ROOT / "docs/recipes_table.py"))
    assert f"<!-- python docs/recipes_table.py -->\n{script['short_table']()}\n" in README


def test_the_output_that_the_readme_shows_has_the_published_numbers():
    shown = block("Better than unregularized")
    rows = {row["recipe"]: row for row in published("leaderboard.csv")}
    found = [name for name in rows if re.search(rf"^ *[\d-]+ +{name} ", shown, re.MULTILINE)]
    assert len(found) > 1
    for name in found:
        line = re.search(rf"^ *[\d-]+ +{name} .*$", shown, re.MULTILINE)[0]
        numbers = [abs(float(number)) for number in re.findall(r"[.]\d{3}\b", line)]
        assert numbers[:3] == [round(abs(float(rows[name][key])), 3) for key in ("clean_accuracy", "mean_auc", "gain")]


def test_the_readme_is_short():
    assert len(README.splitlines()) < 170
