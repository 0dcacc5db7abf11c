"""What is wrong with a catalogue file: every wrong field at once, each with its place, what was given, or a hint."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from robustbench_pix.errors import nearest
from robustbench_pix.identity import canonical_json

AnyModel = TypeVar("AnyModel", bound=BaseModel)

WITHOUT_INPUT = ("missing", "extra_forbidden", "value_error")


class FindingsError(ValueError):
    """What is wrong inside a field, each finding told with its place already."""


def describe(error: ValidationError, model: type[BaseModel], prefix: str = "") -> str:
    """Return all of pydantic's findings in one line: ``field: what is wrong (got this); field: what is wrong``."""
    findings = []
    for finding in error.errors():
        field = prefix + ".".join(str(part) for part in finding["loc"])
        message = finding["msg"].removeprefix("Value error, ")
        if isinstance(finding.get("ctx", {}).get("error"), FindingsError):
            findings.append(message)
            continue
        if finding["type"] == "extra_forbidden":
            message = f"there is no such field.{nearest(str(finding['loc'][-1]), _fields(model, finding['loc']))}"
            message = message.removesuffix("?").replace(". Did", ", did").removesuffix(".")
        given = "" if finding["type"] in WITHOUT_INPUT else f" (got {finding['input']!r})"
        findings.append(f"{field}: {message}{given}" if finding["loc"] else message)
    return "; ".join(findings)
