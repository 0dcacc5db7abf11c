"""The scripts in examples/ run; trainings are cut short."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"


def run(script: Path, folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, str(script)], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_read_published_board(tmp_path):
    shown = run(EXAMPLES / "read_published_board.py", tmp_path)
    assert "thresholded" in shown
    assert "better" in shown


def test_evaluate_own_model(tmp_path):
    task = (ROOT / "models/tasks/digits.toml").read_text()
    short = tmp_path / "example-workspace/models/tasks/digits.toml"
    short.parent.mkdir(parents=True)
    short.write_text(re.sub(r"epochs = \d+", "epochs = 1", task))
    shown = run(EXAMPLES / "evaluate_own_model.py", tmp_path)
    clean = float(re.search(r"gaussian: .*\n *0\.\d+ +(\d\.\d+)", shown)[1])
    assert clean > 0.9


def test_add_regularizer(tmp_path):
    text = (EXAMPLES / "add_regularizer.py").read_text()
    assert "epochs = 10" in text
    script = tmp_path / "add_regularizer.py"
    script.write_text(text.replace("epochs = 10", "epochs = 1"))
    shown = run(script, tmp_path)
    assert "difference" in shown
    assert "transfer-fgsm" in shown


def test_every_example_is_listed():
    listed = set(re.findall(r"\]\((\w+\.py)\)", (EXAMPLES / "README.md").read_text()))
    assert listed == {path.name for path in EXAMPLES.glob("*.py")}
