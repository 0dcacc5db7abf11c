"""What is wrong with a catalogue file: every wrong field at once, with its place, its value and a hint."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from robustbench_pix.errors import MOST_CHARACTERS, nearest_name, short, shortened
from robustbench_pix.identity import canonical_json

AnyModel = TypeVar("AnyModel", bound=BaseModel)


MOST_OF_FINDINGS = 340
"""Characters; what is wrong beyond them is only counted."""


class FindingsError(ValueError):
    """What is wrong inside a field; each finding names its place already."""


def describe(error: ValidationError, model: type[BaseModel], prefix: str = "") -> str:
    """Return all of pydantic's findings in one line: ``field: what is wrong (got this); field: what is wrong``."""
    findings = []
    for finding in error.errors():
        place, kind = finding["loc"], finding["type"]
        message = finding["msg"].removeprefix("Value error, ")
        if kind == "extra_forbidden":
            match = nearest_name(str(place[-1]), _fields(model, place[:-1]))
            message = f"there is no such field{f' (did you mean {match}?)' if match else ''}"
        elif kind not in ("missing", "value_error"):
            message += f" (got {short(finding['input'])})"
        placed = not place or isinstance(finding.get("ctx", {}).get("error"), FindingsError)
        where = ".".join(shortened(str(part), MOST_CHARACTERS // 2) for part in place)
        findings.append(message if placed else f"{prefix}{where}: {message}")
    return joined(findings)


def joined(findings: list[str]) -> str:
    """Return findings in one line, the first ones that fit and how many more there are.

    >>> joined(["a is wrong", "b is wrong"]), joined(["a" * 300, "b" * 300])[-14:]
    ('a is wrong; b is wrong', 'aa; and 1 more')
    """
    line = shortened(findings[0], MOST_OF_FINDINGS)
    for place, finding in enumerate(findings[1:], start=1):
        if len(line) + len(finding) > MOST_OF_FINDINGS:
            return f"{line}; and {len(findings) - place} more"
        line += f"; {finding}"
    return line


def nested(model: type[AnyModel], fields: dict[str, Any], place: str) -> AnyModel:
    """Build a part of a specification inside a validator.

    Raises:
        FindingsError: fields of it are wrong.
    """
    try:
        return model(**fields)
    except ValidationError as error:
        raise FindingsError(describe(error, model, f"{place}.")) from error


def together(checks: Iterable[Callable[[], object]]) -> None:
    """Do all checks, and raise the findings of all of them at once.

    Raises:
        FindingsError: at least one check found something.
    """
    findings = []
    for check in checks:
        try:
            check()
        except FindingsError as error:
            findings.append(str(error))
    if findings:
        raise FindingsError(joined(findings))


def json_values(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return parameters, all of which the identity of a run can hold.

    Raises:
        ValueError: one is or contains a date, NaN or infinity.
    """
    for key, value in parameters.items():
        try:
            canonical_json(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{key} must be made of texts and finite numbers (got {short(value)})") from error
    return parameters


def _fields(model: Any, place: tuple[int | str, ...]) -> list[str]:
    """Return the names of the fields at a place of a specification."""
    for part in place:
        model = get_args(model)[0] if isinstance(part, int) else model.model_fields[part].annotation
    return list(model.model_fields)
