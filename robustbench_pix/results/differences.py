"""How two published boards differ: rows, numbers, hashes and files, and whether intervals cover that."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from robustbench_pix.results.board import Board
from robustbench_pix.results.columns import KEY, row_key
from robustbench_pix.results.derived_columns import AUC_PREFIX, DISTANCE_PREFIX
from robustbench_pix.results.merging import REPLACED
from robustbench_pix.results.provenance import Provenance
from robustbench_pix.results.published.writing import SUMS

NUMBERS = {"clean_accuracy": True, "mean_auc": True, "gain": True, "rank": False, "worst_case": False}
"""Compared numbers, and whether they have intervals; those under each attack have none."""

TEXTS = ("status", "seed_list", "note", "gradients")

HASHES = ("recipe_hash", "task_hash", "suite_hash")
DATA = "data of "
"""Begins the names of digests of data, which only a provenance tells."""

ORIGINS = ("version", "torch", "device")
"""What explains a difference of numbers under equal hashes."""


def differences(first: Board, second: Board) -> list[dict[str, Any]]:
    """Return one row for everything in which two boards differ.

    Its fields are those of the setting and ``recipe``; ``what``: only in A, only in B, status, number, hash, origin or
    version;
    ``column`` that differs, an attack_hash followed by the attack; ``a`` and ``b``, what each has; ``difference``,
    B - A of numbers that both have; ``covered``: whose 95% interval holds the other's number, both, A, B or neither.
    Of a row that both have under other versions of the suite nothing but these is compared.
    """
    rows = [_by_key(board.leaderboard) for board in (first, second)]
    facts = [_facts(board.measurements, board.provenance) for board in (first, second)]
    versions = [_versions(one, other) for one, other in (rows, rows[::-1])]
    found: list[dict[str, Any]] = []
    for key in dict.fromkeys([*rows[0], *rows[1]]):
        named = dict(zip(KEY, key, strict=True))
        alike = row_key(named, REPLACED)
        if key in rows[0] and key in rows[1]:
            changes = _status(rows[0][key], rows[1][key]) + _numbers(rows[0][key], rows[1][key])
            changes += _texts(facts[0].get(key, {}), facts[1].get(key, {}))
        elif alike in versions[0] and alike in versions[1]:
            change = _change("version", "suite_version", versions[0][alike], versions[1][alike])
            changes = [change] if key in rows[0] else []
        else:
            changes = [_change(f"only in {'A' if key in rows[0] else 'B'}", "")]
        found += [{**named, **change} for change in changes]
    return found


def _by_key(leaderboard: pd.DataFrame) -> dict[tuple[Any, ...], dict[str, Any]]:
    records: list[dict[Any, Any]] = leaderboard.to_dict("records")
    return {row_key(row): row for row in records}


def _versions(rows: dict[tuple[Any, ...], Any], others: dict[tuple[Any, ...], Any]) -> dict[tuple[Any, ...], str]:
    """Return the suite's versions of rows that the other board lacks, by what they share with any other version."""
    found: dict[tuple[Any, ...], list[str]] = {}
    for key in rows:
        if key not in others:
            named = dict(zip(KEY, key, strict=True))
            found.setdefault(row_key(named, REPLACED), []).append(str(named["suite_version"]))
    return {alike: " and ".join(versions) for alike, versions in found.items()}


def _facts(measurements: pd.DataFrame, provenance: Provenance) -> dict[tuple[Any, ...], dict[str, str]]:
    """Return the hashes, digests of data and origins of each row of the board; several of a kind are joined."""
    found: dict[tuple[Any, ...], dict[str, str]] = {}
    data = {row_key(row): row["data"] for row in provenance["rows"]}
    for key, rows in measurements.groupby(KEY, sort=False):
        facts = {name: " and ".join(sorted(rows[name].unique())) for name in (*HASHES, *ORIGINS)}
        for attack, hashes in rows.groupby("attack", sort=False)["attack_hash"]:
            facts[f"attack_hash {attack}"] = " and ".join(sorted(hashes.unique()))
        found[tuple(key)] = facts | {f"{DATA}{of}": digest or "" for of, digest in data.get(tuple(key), {}).items()}
    return found


def _status(first: dict[str, Any], second: dict[str, Any]) -> list[dict[str, Any]]:
    pairs = [(name, str(first[name]), str(second[name])) for name in TEXTS]
    return [_change("status", name, a, b) for name, a, b in pairs if a != b]


def _numbers(first: dict[str, Any], second: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    under = [name for name in {**first, **second} if name.startswith((AUC_PREFIX, DISTANCE_PREFIX))]
    for name, interval in {**NUMBERS, **dict.fromkeys(under, False)}.items():
        a, b = first.get(name, np.nan), second.get(name, np.nan)
        absent = pd.isna(a), pd.isna(b)
        if all(absent) or (not any(absent) and a == b):
            continue
        change = _change("number", name, "" if absent[0] else f"{a:.10g}", "" if absent[1] else f"{b:.10g}")
        if not any(absent):
            change["difference"] = float(b - a)
            change["covered"] = _covered(first, second, name) if interval else ""
        found.append(change)
    return found


def _covered(first: dict[str, Any], second: dict[str, Any], name: str) -> str:
    holds = [
        bool(row[f"{name}_low"] <= other[name] <= row[f"{name}_high"])
        for row, other in ((first, second), (second, first))
    ]
    known = [not pd.isna(row[f"{name}_low"]) for row in (first, second)]
    if not any(known):
        return ""
    return {(True, True): "both", (True, False): "A", (False, True): "B", (False, False): "neither"}[holds[0], holds[1]]


def _texts(first: dict[str, str], second: dict[str, str]) -> list[dict[str, Any]]:
    known = {name for name in {**first, **second} if not name.startswith(DATA) or (name in first and name in second)}
    names = [name for name in {**first, **second} if name in known]
    changed = [name for name in names if first.get(name, "") != second.get(name, "")]
    return [
        _change("origin" if name in ORIGINS else "hash", name, first.get(name, ""), second.get(name, ""))
        for name in changed
    ]


def _change(what: str, column: str, a: str = "", b: str = "") -> dict[str, Any]:
    return {"what": what, "column": column, "a": a, "b": b, "difference": None, "covered": ""}


DRAWN = {"README.md", "schema.json", "index.html", "leaderboard.svg"}
"""What follows from the tables and from the version of this package."""

CLOCK = {"costs.csv", "recipe-costs.csv", SUMS}
"""Times, which never repeat, and their digests."""


def file_differences(first: Path, second: Path) -> list[dict[str, Any]]:
    """Return one row for each file that only one folder has, or that holds something else.

    The fields are those of ``differences``; ``column`` is the file, and of a table ``a`` and ``b`` count the lines that
    the other one lacks. What is drawn from the tables, and times, are only looked for.
    """
    names = [{file.name for file in folder.iterdir() if not file.name.startswith(".")} for folder in (first, second)]
    found = []
    for name in sorted(names[0] | names[1]):
        if name not in names[0] & names[1]:
            found.append(_file_change(f"only in {'A' if name in names[0] else 'B'}", name))
        elif name not in DRAWN | CLOCK:
            before, now = (first / name).read_bytes(), (second / name).read_bytes()
            if before != now:
                found.append(_file_change("file", name, *_lines(before, now) if name.endswith(".csv") else ()))
    return found


def _lines(first: bytes, second: bytes) -> tuple[str, str]:
    """Return how many lines each of two texts has that the other lacks."""
    lines = Counter(first.splitlines()), Counter(second.splitlines())
    counts = (lines[0] - lines[1]).total(), (lines[1] - lines[0]).total()
    return f"{counts[0]:,} line{'s'[: counts[0] != 1]}", f"{counts[1]:,} line{'s'[: counts[1] != 1]}"


def _file_change(what: str, file: str, *lines: str) -> dict[str, Any]:
    return dict.fromkeys(KEY, "") | _change(what, file, *lines)
