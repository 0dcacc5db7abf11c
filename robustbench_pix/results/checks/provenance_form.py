"""The form that provenance.json must have before anything is read from it."""

from itertools import pairwise
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError


class _Open(BaseModel):
    """What is not named here may be there as well."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Evaluation(_Open):
    budget: int | None
    repetitions: int
    images: int | None


class _File(_Open):
    name: str = ""


class _Attack(_Open):
    attack: str
    file: _File = _File()
    access: str
    strength: str
    strengths: list[float]
    range_from: float = 0.0
    evaluation: _Evaluation


class _Task(_Open):
    numerics: int
    task: dict[str, Any]


class _Suite(_Open):
    name: str
    version: int
    protocol: str
    attacks: list[str]


class _Way(_Open):
    attack: str


class _Model(_Open):
    kind: str


class _Row(_Open):
    suite: str
    suite_version: int
    protocol: str
    task: str
    regularization_data: str
    size: str
    colour: str
    network: str
    precision: str
    recipe: str
    recipe_hash: str
    task_hash: str
    suite_hash: str
    seeds: list[int]
    model: _Model
    attacks: dict[str, list[_Way]]
    data: dict[str, str | None]
    made_with: list[dict[str, Any]]
    entries: int | None = None
    command: str


class _Provenance(_Open):
    attacks: dict[str, _Attack]
    recipes: dict[str, dict[str, Any] | None]
    tasks: dict[str, _Task]
    suites: dict[str, _Suite]
    rows: list[_Row]


_FORM = TypeAdapter(_Provenance)
_ORDER = "strengths must ascend from 0, and range_from lie below the last"


def wrong_form(provenance: Any) -> str:
    """Return the first thing that is wrong with the form of a provenance, or ""."""
    try:
        _FORM.validate_python(provenance)
    except (ValidationError, RecursionError) as error:
        if isinstance(error, RecursionError):
            return "it is nested too deeply"
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    if not all(ways for row in provenance["rows"] for ways in row["attacks"].values()):
        return "rows: an attack was made in no way"
    return next((f"attacks.{name}: {_ORDER}" for name, one in provenance["attacks"].items() if not _ordered(one)), "")


def _ordered(attack: dict[str, Any]) -> bool:
    strengths, start = attack["strengths"], attack.get("range_from", 0.0)
    ascending = all(low < high for low, high in pairwise(strengths))
    return not strengths or (strengths[0] == 0 and ascending and 0 <= start < strengths[-1])
