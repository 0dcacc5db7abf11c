"""What is wrong with a catalogue file: every wrong field at once, each with its place, what was given, or a hint."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from robustbench_pix.errors import nearest_name
from robustbench_pix.identity import canonical_json

AnyModel = TypeVar("AnyModel", bound=BaseModel)


class FindingsError(ValueError):
    """What is wrong inside a field, each finding told with its place already."""


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
            message += f" (got {finding['input']!r})"
        told = not place or isinstance(finding.get("ctx", {}).get("error"), FindingsError)
        findings.append(message if told else f"{prefix}{'.'.join(map(str, place))}: {message}")
    return "; ".join(findings)


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
        raise FindingsError("; ".join(findings))


def json_values(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return parameters, all of which the identity of a run can hold.

    Raises:
        ValueError: one is or contains a date, NaN or infinity.
    """
    for key, value in parameters.items():
        try:
            canonical_json(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{key} must be made of texts and finite numbers (got {value!r})") from error
    return parameters


def _fields(model: Any, place: tuple[int | str, ...]) -> list[str]:
    """Return the names of the fields at a place of a specification."""
    for part in place:
        model = get_args(model)[0] if isinstance(part, int) else model.model_fields[part].annotation
    return list(model.model_fields)
