"""Write published files whole or not at all, with their digests, and name those that changed."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from robustbench_pix.errors import UserError
from robustbench_pix.results.checks.findings import Finding
from robustbench_pix.runs.store import EXAMPLES, sync


def write_together(folder: Path, texts: dict[str, str]) -> list[Path]:
    """Write published files and their digests: all under other names first, so that a full disk leaves the old ones."""
    with ExitStack() as waiting:
        written = [waiting.enter_context(_beside(folder / name, text.encode())) for name, text in texts.items()]
        for scratch, file in written:
            _replaced(scratch, file)
    sums = write_sums(folder, texts)
    sync(folder)
    return [*(file for _, file in written), sums]


def write_sums(folder: Path, names: Iterable[str]) -> Path:
    """Write SHA256SUMS of these published files, and of the outcomes of images if they are there."""
    files = [folder / name for name in {*names, EXAMPLES} - {SUMS} if (folder / name).is_file()]
    return write_whole(folder / SUMS, sums_text(files).encode())


def write_whole(file: Path, content: bytes) -> Path:
    """Write a file under another name and rename it, so that it is there whole or not at all."""
    with _beside(file, content) as (scratch, _):
        return _replaced(scratch, file)


@contextmanager
def _beside(file: Path, content: bytes) -> Iterator[tuple[Path, Path]]:
    """Write what is to become a file under another name, synced; it is gone afterwards unless it was renamed."""
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_bytes(content)
            sync(scratch)
        except OSError as error:
            raise UserError(f"{file} cannot be written: {error.strerror}.") from error
        yield scratch, file
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)


def _replaced(scratch: Path, file: Path) -> Path:
    try:
        return scratch.replace(file)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}.") from error


SUMS = "SHA256SUMS"
LINE = re.compile(r"([0-9a-f]{64})  ([\w.-]+)")


def sums_text(files: Iterable[Path]) -> str:
    """Return the text of SHA256SUMS for these files; ends of lines do not matter, since git may change them."""
    return "".join(f"{_digest(file)}  {file.name}\n" for file in sorted(files))


def changed_files(folder: Path) -> dict[str, str]:
    """Return what is wrong with each published file that is not as ``rbp publish`` wrote it, in words.

    The outcomes of images are large, and may be left out.

    Raises:
        UserError: SHA256SUMS cannot be read.
    """
    try:
        lines = [line for line in (folder / SUMS).read_text(encoding="utf-8").splitlines() if line]
    except FileNotFoundError:
        return {SUMS: "there is none; rbp publish writes it"}
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{folder / SUMS} cannot be read: {error}.") from error
    faults = {}
    for number, line in enumerate(lines, start=1):
        match = LINE.fullmatch(line)
        if match is None:
            faults[SUMS] = f"line {number} states no digest of a file"
        elif not (folder / match[2]).is_file():
            faults |= {} if match[2] == EXAMPLES else {match[2]: "there is none, though one was published"}
        elif _digest(folder / match[2]) != match[1]:
            faults[match[2]] = f"it is not the file that was published with {SUMS}"
    return faults


def findings(faults: dict[str, str], already: Iterable[Finding]) -> list[Finding]:
    """Return a finding for each changed file about which nothing else was found."""
    told = {finding.file for finding in already}
    return [Finding(file, None, "", fault) for file, fault in faults.items() if file not in told]


def _digest(file: Path) -> str:
    content = file.read_bytes()
    return hashlib.sha256(content if file.suffix == ".parquet" else content.replace(b"\r\n", b"\n")).hexdigest()
