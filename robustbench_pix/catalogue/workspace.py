"""A workspace: a folder with models/, attacks/, runs/ and leaderboard/; its own files win over shipped ones."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from robustbench_pix.catalogue.findings import describe
from robustbench_pix.catalogue.specs import AttackSpec, CatalogueSpec, RecipeSpec, SuiteSpec, TaskSpec, Tuned
from robustbench_pix.errors import UserError, unknown

PACKAGE = Path(__file__).parent.parent
SHIPPED = PACKAGE / "shipped" if (PACKAGE / "shipped").is_dir() else PACKAGE.parent

FOLDERS = {"recipe": "models", "task": "models/tasks", "attack": "attacks", "suite": "attacks/suites"}
"""What a catalogue file states -> the folder of such files, in a workspace as in the package."""

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
        """Return a recipe; a control takes over the parameters and tuning of the recipe that it controls."""
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
        tuned = [{**_fields(override), **spec.parameters} for override in controlled.tuned]
        fields = {**spec.model_dump(), "parameters": {**controlled.parameters, **spec.parameters}}
        return _validated(RecipeSpec, {**fields, "tuned": [*tuned, *map(_fields, spec.tuned)]})

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

    def _read(self, spec: type[AnySpec], what: str, name: str) -> AnySpec:
        for place in (self.root, SHIPPED):
            path = place / FOLDERS[what] / f"{name}.toml"
            if path.is_file():
                return _validated(spec, {**_toml(path), "name": name, "path": path})
        raise self._unknown(what, name)

    def _unknown(self, what: str, name: str) -> UserError:
        command = {"recipe": "rbp models", "task": "rbp tasks", "attack": "rbp attacks", "suite": "rbp suites"}[what]
        return unknown(what, name, self.names(FOLDERS[what]), list_with=command)


def _fields(override: Tuned) -> dict[str, Any]:
    return {"task": override.task, "images": override.images, **override.parameters}


def _toml(path: Path) -> dict[str, Any]:
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid TOML: {error}.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    given = [field for field in ("name", "path") if field in fields]
    if given:
        raise UserError(f"{path}: {given[0]}: there is no such field; the name of the file is the name.")
    return fields


def _validated(spec: type[AnySpec], fields: dict[str, Any]) -> AnySpec:
    """Build a specification, or name every wrong field at once, with the file."""
    try:
        return spec(**fields)
    except ValidationError as error:
        raise UserError(f"{fields['path']}: {describe(error, spec)}.") from error
