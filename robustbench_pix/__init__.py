"""Is that regularizer really robust? Train, attack and rank under the same batches and the same noise."""

import sys

from robustbench_pix.import_path import libraries_first

if sys.argv[:1] == ["-m"]:  # python -m robustbench_pix; the current folder comes first until this is done.
    libraries_first()

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from robustbench_pix.api import evaluate, run
    from robustbench_pix.attacks.base import AttackContext, FixedStrengthAttack, MinimalDistanceAttack
    from robustbench_pix.data.base import ImageData
    from robustbench_pix.errors import RobustBenchPixError, UserError
    from robustbench_pix.randomness import ImageKey
    from robustbench_pix.recipes.contract import Batch, Recipe, RecipeContext, Step
    from robustbench_pix.recipes.tools import Tools
    from robustbench_pix.regularizers.base import Regularizer
    from robustbench_pix.runs.manifest import file_digest
    from robustbench_pix.runs.training_job import load_model

_ELSEWHERE = {
    "run": "robustbench_pix.api",
    "evaluate": "robustbench_pix.api",
    "load_model": "robustbench_pix.runs.training_job",
    "RobustBenchPixError": "robustbench_pix.errors",
    "UserError": "robustbench_pix.errors",
    "file_digest": "robustbench_pix.runs.manifest",
    "Regularizer": "robustbench_pix.regularizers.base",
    "Recipe": "robustbench_pix.recipes.contract",
    "RecipeContext": "robustbench_pix.recipes.contract",
    "Batch": "robustbench_pix.recipes.contract",
    "Step": "robustbench_pix.recipes.contract",
    "Tools": "robustbench_pix.recipes.tools",
    "FixedStrengthAttack": "robustbench_pix.attacks.base",
    "MinimalDistanceAttack": "robustbench_pix.attacks.base",
    "ImageKey": "robustbench_pix.randomness",
    "AttackContext": "robustbench_pix.attacks.base",
    "ImageData": "robustbench_pix.data.base",
}
_REGISTRIES = {"regularizer": "regularizers", "attack": "attacks", "dataset": "datasets", "network": "networks"}

__all__ = [
    "AttackContext",
    "Batch",
    "FixedStrengthAttack",
    "ImageData",
    "ImageKey",
    "MinimalDistanceAttack",
    "Recipe",
    "RecipeContext",
    "Regularizer",
    "RobustBenchPixError",
    "Step",
    "Tools",
    "UserError",
    "__version__",
    "attack",
    "dataset",
    "evaluate",
    "file_digest",
    "load_model",
    "network",
    "regularizer",
    "run",
]


def __getattr__(name: str) -> Any:
    """Import the one name and nothing else, so that the command line starts without torch."""
    libraries_first()
    if name in _REGISTRIES:
        registries = import_module("robustbench_pix.catalogue.registries")
        return getattr(registries, _REGISTRIES[name]).register
    if name in _ELSEWHERE:
        return getattr(import_module(_ELSEWHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
