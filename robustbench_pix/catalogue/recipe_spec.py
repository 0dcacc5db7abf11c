"""The specification of a recipe, as a file of ``models/`` states it."""

from functools import partial
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from robustbench_pix.catalogue.findings import together
from robustbench_pix.catalogue.regularizer_parameters import Penalty, check_parameters
from robustbench_pix.catalogue.specs import CatalogueSpec, Parameters

EVERY_IMAGES = "*"
"""Stands for the regularization data of every combination."""


class Tuned(BaseModel):
    """Parameters that hold for one combination only: ``task``, ``images``, and whatever else is overridden.

    Without ``images`` they hold for the task whatever the regularization data.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    task: str
    images: str = EVERY_IMAGES

    @property
    def parameters(self) -> dict[str, Any]:
        """The overriding parameters."""
        return dict(self.model_extra or {})


class RecipeSpec(CatalogueSpec):
    """What is added to training. ``controls`` names the recipe whose parameters and tuning this control shares."""

    regularizer: str | None = Field(default=None, validation_alias=AliasChoices("recipe", "regularizer"))
    parameters: Parameters = Field(default_factory=dict)
    tuned: tuple[Tuned, ...] = ()
    controls: str | None = None

    @field_validator("parameters")
    @classmethod
    def _parameters(cls, parameters: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "regularizer" in info.data:
            check_parameters(info.data["regularizer"], parameters)
        return parameters

    @field_validator("tuned")
    @classmethod
    def _tuned(cls, tuned: tuple[Tuned, ...], info: ValidationInfo) -> tuple[Tuned, ...]:
        if {"regularizer", "parameters"} <= set(info.data):
            general, regularizer = info.data["parameters"], info.data["regularizer"]
            together(
                partial(check_parameters, regularizer, {**general, **own.parameters}, f"tuned.{own.task}:{own.images}")
                for own in tuned
            )
        return tuned

    def penalty(self, task: str, images: str) -> Penalty | None:
        """Return what is added on one combination: the general parameters, then those tuned for it."""
        overrides = [t.parameters for t in self.tuned if t.task == task and t.images in (images, EVERY_IMAGES)]
        return check_parameters(self.regularizer, {**self.parameters, **(overrides[-1] if overrides else {})})
