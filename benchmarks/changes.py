"""Random changes of files, as disks, editors and people make them; each has another content afterwards."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.random import Generator

Change = Callable[[Path, Generator], bool]
"""Changes a file; False where that kind of change is none of this file."""


def flip_bit(file: Path, random: Generator) -> bool:
    """Flip one bit."""
    data = bytearray(file.read_bytes())
    data[random.integers(len(data))] ^= 1 << int(random.integers(8))
    file.write_bytes(data)
    return True


def replace_byte(file: Path, random: Generator) -> bool:
    """Put a byte, of those of text, in the place of another one."""
    data, place = bytearray(file.read_bytes()), 0
    new = place = 0
    while data[place] == new or not new:
        place, new = int(random.integers(len(data))), int(random.choice(list(b' \n0123456789abcdef"{}[],:.-')))
    data[place] = new
    file.write_bytes(data)
    return True


def truncate(file: Path, random: Generator) -> bool:
    """Cut the end off."""
    file.write_bytes(file.read_bytes()[: int(random.integers(file.stat().st_size))])
    return True


def delete(file: Path, random: Generator) -> bool:
    """Remove the file."""
    file.unlink()
    return True


def swap(file: Path, random: Generator) -> bool:
    """Let it change places with another file of its name, or of its folder's kind, that holds something else."""
    others = [other for other in file.parent.parent.rglob(file.name) if other.read_bytes() != file.read_bytes()]
    others = others or [other for other in file.parent.glob(f"*{file.suffix}") if other != file]
    if not others:
        return False
    other = others[random.integers(len(others))]
    aside = file.with_name("aside")
    shutil.move(file, aside)
    shutil.move(other, file)
    shutil.move(aside, other)
    return True


def change_value(file: Path, random: Generator) -> bool:
    """Change one value of a JSON file, and write it in the same form."""
    if file.suffix != ".json":
        return False
    content = json.loads(file.read_text())
    holder, key = _place(content, random)
    holder[key] = another(holder[key], random)
    file.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return True


CHANGES: dict[str, Change] = {
    "bit": flip_bit,
    "byte": replace_byte,
    "JSON value": change_value,
    "truncation": truncate,
    "deletion": delete,
    "swap": swap,
}


def another(value: Any, random: Generator) -> Any:
    """Return another value of the same kind, near enough to be believed."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + int(random.choice([-1, 1, 10]))
    if isinstance(value, float):
        return value * float(random.choice([0.5, 0.9, 1.01, 1.1, 2.0])) if value else 0.5
    if isinstance(value, str) and value:
        place = int(random.integers(len(value)))
        return value[:place] + ("1" if value[place] != "1" else "2") + value[place + 1 :]
    return "something" if value in (None, "") else None


def _place(content: Any, random: Generator) -> tuple[Any, Any]:
    """Return a container and the key of one of its leaves, every leaf being as likely."""
    leaves = list(_leaves(content))
    return leaves[random.integers(len(leaves))]


def _leaves(content: Any) -> Any:
    pairs = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in pairs:
        if isinstance(value, (dict, list)) and value:
            yield from _leaves(value)
        else:
            yield content, key
