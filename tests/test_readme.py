"""What the README shows is what happens."""

import os
import re
import subprocess
import sys
from pathlib import Path

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
    arguments = command.split()[1:]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, "-m", "robustbench_pix", *arguments],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    assert "ours" in process.stdout
    assert "unregularized" in process.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models", "runs"]


def test_every_command_is_in_the_readme():
    for command in main.commands:
        assert f"rbp {command}" in README, command


def test_every_file_that_the_readme_links_to_is_there():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
