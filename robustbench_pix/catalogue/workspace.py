"""A workspace: a folder with models/, attacks/, runs/ and leaderboard/; its own files win over shipped ones."""

import fnmatch
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from robustbench_pix.catalogue.findings import describe
from robustbench_pix.catalogue.recipe_spec import RecipeSpec
from robustbench_pix.catalogue.specs import AttackSpec, CatalogueSpec, SuiteSpec, TaskSpec
from robustbench_pix.errors import MOST_CHARACTERS, UserError, short, shortened, unknown

LONGEST = 100
"""Characters of a name; names of files have at most 255 bytes."""

NOT_FIRST = ".=+-@"
"""A leading dot hides a file, a leading hyphen is an option, and the others begin a formula in a spreadsheet."""

NOWHERE = "/\\,:~"
"""Separators: of paths, of attacks in a list, of task and images, of the parts of a scratch folder's name."""

RESERVED = {
    "attack": {"gradient-check", "worst-case", "smallest-distance", "score", "mean", "all"},
    "recipe": {"source model", "mean", "all"},
    "task": {"default", "all"},
    "suite": {"all"},
}
"""Names with another meaning in plans and tables."""


def check_name(what: str, name: str, *, where: str) -> None:
    """Refuse a name that is reserved, or cannot be used in tables, paths and plans.

    Args:
        what: recipe, task, attack or suite.
        name: the file's name without its ending.
        where: the folder of the file, for the sentence.

    Raises:
        UserError: the name is reserved, too long, or holds characters that it must not.
    """
    if name in RESERVED[what]:
        raise UserError(f"{where}: {name} is reserved in the tables; give the {what} another name.")
    if wrong := wrong_name(name):
        raise UserError(f"{where}: the name {short(ascii(name)[1:-1])} of a {what} {wrong}; rename its file.")


def wrong_name(name: str) -> str:
    """Return the rule that a name breaks, "" if it can be used in tables and paths.

    >>> wrong_name("thresholded"), wrong_name("../x")
    ('', 'must not begin with any of . = + - @')
    """
    if not name.isprintable() or not name or name != name.strip():
        return "must be made of printable characters, with no space at its ends"
    if name[0] in NOT_FIRST:
        return f"must not begin with any of {' '.join(NOT_FIRST)}"
    if set(name) & set(NOWHERE):
        return f"must not hold any of {' '.join(NOWHERE)}"
    return f"must have at most {LONGEST} characters" if len(name) > LONGEST else ""


PACKAGE = Path(__file__).parent.parent
SHIPPED = PACKAGE / "shipped" if (PACKAGE / "shipped").is_dir() else PACKAGE.parent

FOLDERS = {"recipe": "models", "task": "models/tasks", "attack": "attacks", "suite": "attacks/suites"}
"""What a catalogue file states -> the folder of such files, in a workspace as in the package."""

ALL = "all"
"""Stands for every recipe."""

LARGEST_BYTES = 2**16
DEEPEST = 20
MOST_DOTS = 200
"""Of a dotted key; the time that tomllib takes grows with their square."""

SEPARATORS = re.compile(r"[,=\[\]{}#\n]")
LARGEST_INTEGER = 2**63 - 1
"""TOML's integers have 64 bits."""

AnySpec = TypeVar("AnySpec", bound=CatalogueSpec)


@dataclass(frozen=True)
class Workspace:
    """Finds, reads and lists catalogue files, first in ``root``, then in what the package ships."""

    root: Path

    @property
    def runs(self) -> Path:
        """Where trained models and attack outcomes are kept."""
        return self.root / "runs"

    @property
    def published(self) -> Path:
        """Where published tables are kept."""
        return self.root / "leaderboard"

    def recipe(self, name: str) -> RecipeSpec:
        """Return a recipe; a control takes over the parameters, tuning and search of the recipe that it controls.

        Not one of another class that states parameters of its own. What a control fixes is not searched, and a search
        of its own wins.
        """
        spec = self._read(RecipeSpec, "recipe", name)
        if spec.controls is None:
            return spec
        if spec.controls not in self.names(FOLDERS["recipe"]):
            raise UserError(f"{spec.path}: controls: {self._unknown('recipe', spec.controls)}")
        controlled = self._read(RecipeSpec, "recipe", spec.controls)
        if controlled.controls is not None:
            raise UserError(
                f"{spec.path}: controls = {spec.controls!r} is itself a control; name the recipe it controls."
            )
        if controlled.regularizer != spec.regularizer and (spec.parameters or spec.tuned):
            return spec
        tuned = [{**entry.model_dump(), **spec.parameters} for entry in controlled.tuned]
        fields = {**spec.model_dump(), "parameters": {**controlled.parameters, **spec.parameters}}
        if spec.search is None and controlled.search is not None:
            fields["search"] = {key: of for key, of in controlled.search.items() if key not in spec.parameters}
        if (
            spec.folder == SHIPPED / FOLDERS["recipe"]
        ):  # Files that the parameters name lie beside the controlled recipe.
            fields["path"] = controlled.folder / spec.path.name
        return _validated(RecipeSpec, {**fields, "tuned": [*tuned, *fields["tuned"]]})

    def task(self, name: str) -> TaskSpec:
        """Return a task."""
        return self._read(TaskSpec, "task", name)

    def attack(self, name: str) -> AttackSpec:
        """Return an attack."""
        return self._read(AttackSpec, "attack", name)

    def suite(self, name: str) -> SuiteSpec:
        """Return a suite; every attack that it names exists."""
        spec = self._read(SuiteSpec, "suite", name)
        for attack in spec.attacks:
            if attack not in self.names(FOLDERS["attack"]):
                raise UserError(f"{spec.path}: attacks: {self._unknown('attack', attack)}")
        return spec

    def names(self, folder: str) -> list[str]:
        """Return the names of all catalogue files in a folder such as ``models`` or ``attacks/suites``."""
        files = [*(self.root / folder).glob("*.toml"), *(SHIPPED / folder).glob("*.toml")]
        return sorted({file.stem for file in files if file.is_file() and not file.name.startswith(".")})

    def recipe_names(self, stated: Iterable[str]) -> list[str]:
        """Return the recipes that texts state, each once.

        Each text is a name, names with commas between, a pattern with ``*`` or ``?``, or ``all``.

        Raises:
            UserError: no recipe matches a pattern; names are not looked up.

        >>> Workspace(Path()).recipe_names(["pixel,thresholded", "unreg*"])
        ['pixel', 'thresholded', 'unregularized']
        """
        known, found = self.names(FOLDERS["recipe"]), list[str]()
        for pattern in (part.strip() for text in stated for part in text.split(",")):
            is_pattern = "*" in pattern or "?" in pattern
            matching = known if pattern == ALL else fnmatch.filter(known, pattern) if is_pattern else [pattern]
            if not matching:
                raise UserError(f"No recipe matches {short(pattern)}; rbp recipes lists them.")
            found += matching
        return list(dict.fromkeys(found))

    def _read(self, spec: type[AnySpec], what: str, name: str) -> AnySpec:
        known = name in self.names(FOLDERS[what])
        for place in (self.root, SHIPPED) if known else ():
            path = place / FOLDERS[what] / f"{name}.toml"
            if path.is_file():
                check_name(what, name, where=str(path.parent))
                return _validated(spec, {**_toml(path), "name": name, "path": path})
        raise self._unknown(what, name)

    def _unknown(self, what: str, name: str) -> UserError:
        command = {"recipe": "rbp recipes", "task": "rbp tasks", "attack": "rbp attacks", "suite": "rbp suites"}[what]
        return unknown(what, name, self.names(FOLDERS[what]), list_with=command)


def _toml(path: Path) -> dict[str, Any]:
    fields = read_toml(path)
    stated = [field for field in ("name", "path") if field in fields]
    if stated:
        raise UserError(f"{path}: {stated[0]}: there is no such field; the name of the file is the name.")
    return fields


def _validated(spec: type[AnySpec], fields: dict[str, Any]) -> AnySpec:
    """Build a specification, or name every wrong field at once, with the file."""
    try:
        return spec(**fields)
    except ValidationError as error:
        raise UserError(f"{fields['path']}: {describe(error, spec)}.") from error


def read_toml(path: Path) -> dict[str, Any]:
    """Return the fields of a TOML file.

    Raises:
        UserError: it cannot be read, is not TOML, or is larger, deeper or of larger integers than any file needs.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
        if len(content) > LARGEST_BYTES:
            raise UserError(f"{path} is larger than {LARGEST_BYTES // 1024} KiB, which no catalogue file needs to be.")
        text = content.decode("utf-8-sig")
        if any(part.count(".") > MOST_DOTS for part in SEPARATORS.split(text.replace(" ", "").replace("\t", ""))):
            raise RecursionError
        fields = tomllib.loads(text)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except RecursionError:
        raise UserError(f"{path} is nested too deeply; at most {DEEPEST} levels are read.") from None
    except ValueError as error:  # Of TOML, of UTF-8, or an integer of more digits than Python reads.
        raise UserError(f"{path} is not valid TOML: {shortened(str(error), 2 * MOST_CHARACTERS)}.") from error
    _check_size(fields, path)
    return fields


def _check_size(fields: dict[str, Any], path: Path) -> None:
    waiting: list[tuple[Any, str, int]] = [(fields, "", 0)]
    while waiting:
        value, place, depth = waiting.pop()
        if depth > DEEPEST:
            raise UserError(f"{path} is nested too deeply; at most {DEEPEST} levels are read.")
        if isinstance(value, dict):
            waiting += [(inner, place or key, depth + 1) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(inner, place, depth + 1) for inner in value]
        elif isinstance(value, int) and not -LARGEST_INTEGER - 1 <= value <= LARGEST_INTEGER:
            raise UserError(
                f"{path}: {shortened(place, MOST_CHARACTERS)}: integers have at most 64 bits (got {short(value)})."
            )
