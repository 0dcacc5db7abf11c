"""A workspace: a folder with models/, attacks/, runs/ and leaderboard/; its own files win over shipped ones."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from robustbench_pix.catalogue.specs import AttackSpec, CatalogueSpec, RecipeSpec, SuiteSpec, TaskSpec, Tuned, describe
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
        spec = self._read(RecipeSpec, "recipe", "models", name)
        if spec.controls is None:
            return spec
        controlled = self._read(RecipeSpec, "recipe", "models", spec.controls)
        if controlled.controls is not None:
            raise UserError(
                f"{spec.path}: controls = {spec.controls!r} is itself a control; name the recipe it controls."
            )
        tuned = [{**_fields(override), **spec.parameters} for override in controlled.tuned]
        fields = {**spec.model_dump(), "parameters": {**controlled.parameters, **spec.parameters}}
        return _validated(RecipeSpec, {**fields, "tuned": [*tuned, *map(_fields, spec.tuned)]})

    def task(self, name: str) -> TaskSpec:
        """Return a task."""
        return self._read(TaskSpec, "task", "models/tasks", name)

    def attack(self, name: str) -> AttackSpec:
        """Return an attack."""
        return self._read(AttackSpec, "attack", "attacks", name)

    def suite(self, name: str) -> SuiteSpec:
        """Return a suite."""
        return self._read(SuiteSpec, "suite", "attacks/suites", name)

    def names(self, folder: str) -> list[str]:
        """Return the names of all catalogue files in a folder such as ``models`` or ``attacks/suites``."""
        files = [*(self.root / folder).glob("*.toml"), *(SHIPPED / folder).glob("*.toml")]
        return sorted({file.stem for file in files})

    def _read(self, spec: type[AnySpec], what: str, folder: str, name: str) -> AnySpec:
        for place in (self.root, SHIPPED):
            path = place / folder / f"{name}.toml"
            if path.is_file():
                return _validated(spec, {"name": name, "path": path, **_toml(path)})
        command = {"recipe": "rbp models", "task": "rbp tasks", "attack": "rbp attacks", "suite": "rbp suites"}[what]
        raise unknown(what, name, self.names(folder), list_with=command)


def _fields(override: Tuned) -> dict[str, Any]:
    return {"task": override.task, "images": override.images, **override.parameters}


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid TOML: {error}.") from error


def _validated(spec: type[AnySpec], fields: dict[str, Any]) -> AnySpec:
    """Build a specification, or name every wrong field at once, with the file."""
    try:
        return spec(**fields)
    except ValidationError as error:
        raise UserError(f"{fields['path']}: {describe(error)}.") from error
