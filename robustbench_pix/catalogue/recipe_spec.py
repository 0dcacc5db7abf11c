"""The specification of a recipe, as a file of ``models/`` states it."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import AliasChoices, Field, ValidationInfo, field_validator

from robustbench_pix.catalogue.findings import FindingsError, together
from robustbench_pix.catalogue.regularizer_parameters import Penalty, check_parameters
from robustbench_pix.catalogue.specs import CatalogueSpec, Parameters
from robustbench_pix.catalogue.tuned import Tuned, TuningScope


class RecipeSpec(CatalogueSpec):
    """What is added to training. ``controls`` names the recipe whose parameters and tuning this control shares."""

    regularizer: str | None = Field(default=None, validation_alias=AliasChoices("recipe", "regularizer"))
    parameters: Parameters = Field(default_factory=dict)
    search: dict[str, list[Any]] | None = None
    tuned: tuple[Tuned, ...] = ()
    controls: str | None = None

    @field_validator("parameters")
    @classmethod
    def _parameters(cls, parameters: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "regularizer" in info.data:
            check_parameters(info.data["regularizer"], parameters)
        return parameters

    @field_validator("search")
    @classmethod
    def _search(cls, search: dict[str, list[Any]] | None, info: ValidationInfo) -> dict[str, list[Any]] | None:
        if search and {"regularizer", "parameters"} <= set(info.data):
            check_search(search, info.data["regularizer"], info.data["parameters"])
        return search

    @field_validator("tuned")
    @classmethod
    def _tuned(cls, tuned: tuple[Tuned, ...], info: ValidationInfo) -> tuple[Tuned, ...]:
        if {"regularizer", "parameters"} <= set(info.data):
            general, regularizer = info.data["parameters"], info.data["regularizer"]
            together(
                partial(check_parameters, regularizer, {**general, **own.parameters}, f"tuned.{own.label}")
                for own in tuned
            )
        return tuned

    def penalty(self, scope: TuningScope, point: Mapping[str, Any] | None = None) -> Penalty | None:
        """Return what is added to a training: the general parameters, the settings of its task, what is tuned for it.

        The last entry of each kind that holds wins; ``point`` takes the place of what is tuned.
        """
        settings, own = ([t.parameters for t in self._holding(scope) if t.is_setting is of] for of in (True, False))
        tuned = (own[-1] if own else {}) if point is None else point
        return check_parameters(self.regularizer, {**self.parameters, **(settings[-1] if settings else {}), **tuned})

    def is_untuned(self, scope: TuningScope) -> bool:
        """Return whether there is something to search, and no entry of a search for this training."""
        return bool(self.search) and all(entry.is_setting for entry in self._holding(scope))

    def _holding(self, scope: TuningScope) -> list[Tuned]:
        return [entry for entry in self.tuned if entry.holds_for(scope)]


def check_search(search: Mapping[str, list[Any]], regularizer: str | None, parameters: Mapping[str, Any]) -> None:
    """Check the values of a search as parameters, each beside the general ones.

    Raises:
        FindingsError: a value is no such parameter, stated twice, or missing; or the name is a field of entries.
    """
    findings = []
    for name, values in search.items():
        if name in Tuned.model_fields:
            findings.append(f"search.{name}: is a field of [[tuned]], so a parameter of that name cannot be searched")
        if not values or any(value in values[:place] for place, value in enumerate(values)):
            findings.append(f"search.{name}: must be a list of at least one value, and none twice")
    if findings:
        raise FindingsError("; ".join(findings))
    together(
        partial(check_parameters, regularizer, {**parameters, name: value}, "search")
        for name, values in search.items()
        for value in values
    )
