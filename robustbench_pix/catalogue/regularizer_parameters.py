"""The parameters of a regularizer: of ``similarity`` field by field, of others alpha alone."""

import math
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from robustbench_pix.catalogue.findings import FindingsError, json_values, nested
from robustbench_pix.errors import short


class Penalty(NamedTuple):
    """What a recipe adds to the loss of a task: ``alpha`` times the penalty of a regularizer with these parameters."""

    alpha: float
    parameters: dict[str, Any]

    @property
    def stated(self) -> dict[str, Any]:
        """The parameters with alpha among them, as a recipe's file states them."""
        return {"alpha": self.alpha, **self.parameters}


Target = Literal[
    "pixel",
    "thresholded",
    "low",
    "high",
    "positive",
    "negative",
    "double",
    "labels",
    "random-network",
    "v1-model",
    "neural",
    "zero",
    "none",
]

BELONGS_TO: dict[str, Target] = {
    "centred": "labels",
    "cells": "v1-model",
    "similarity": "neural",
    "responses": "neural",
    "weights": "neural",
    "standardize": "neural",
    "sessions": "neural",
}
"""Parameter -> the one target that takes it."""


class SimilarityParameters(BaseModel):
    """Parameters of the regularizer ``similarity`` (method: Attias, Pehlevan, Obeid 2024, equations 1 to 3).

    Those that are None enter no identity, so that a recipe keeps its own where a parameter is added.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    target: Target = "thresholded"
    threshold: float = Field(default=0.8, gt=0, lt=1)
    second_threshold: float | None = Field(default=None, gt=0, lt=1)
    shuffled: bool = False
    pairs: PositiveInt = 16
    similarity: str | None = None
    responses: str | None = None
    order: str | None = None
    weights: Literal["corrected", "uncorrected", "none"] | None = None
    standardize: bool | None = None
    sessions: list[str] | None = Field(default=None, min_length=1)
    centred: bool | None = None
    cells: Literal["complex", "simple", "both"] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "SimilarityParameters":
        if (self.second_threshold is not None) != (self.target == "double"):
            raise ValueError('second_threshold belongs to target = "double", and to no other')
        if self.second_threshold is not None and self.second_threshold >= self.threshold:
            raise ValueError("second_threshold must be below threshold")
        if self.similarity and self.responses:
            raise ValueError("give similarity or responses, not both")
        for name, target in BELONGS_TO.items():
            if getattr(self, name) is not None and self.target != target:
                raise ValueError(f'{name} can only belong to target = "{target}"')
        if (self.similarity or self.responses) and not self.order:
            raise ValueError('state the order of the images: order = "prepared", or the file with their indices')
        return self


class _StatedSimilarity(SimilarityParameters):
    """The parameters of ``similarity`` with alpha among them."""

    alpha: float = Field(default=10.0, ge=0)


def check_parameters(regularizer: str | None, stated: dict[str, Any], place: str = "parameters") -> Penalty | None:
    """Return the penalty that parameters state, with the defaults filled in where the regularizer is ours.

    Raises:
        FindingsError: there is no regularizer that could take them, alpha is negative or not a number, or a parameter
            of ours is unknown or out of range.
    """
    if regularizer is None:
        if stated:
            raise FindingsError(f'{place}: there is no regularizer to take them; name one with regularizer = "..."')
        return None
    if regularizer == "similarity":
        fields = nested(_StatedSimilarity, stated, place).model_dump()
        return Penalty(fields.pop("alpha"), fields)
    alpha = stated.get("alpha", 1.0)
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not 0 <= alpha < math.inf:
        raise FindingsError(f"{place}.alpha: must be a number of at least 0 (got {short(alpha)})")
    try:
        fields = json_values(stated)
    except ValueError as error:
        raise FindingsError(f"{place}: {error}") from error
    return Penalty(float(alpha), {name: value for name, value in fields.items() if name != "alpha"})
