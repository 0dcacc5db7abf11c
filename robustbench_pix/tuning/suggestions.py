"""Points that optuna suggests one after the other, within the smallest and largest value of each parameter.

They follow from a fixed seed and the values told so far, so an interrupted search goes on as if it had not been.
"""

from typing import Any

from robustbench_pix.errors import UserError
from robustbench_pix.tuning.grid import Point, Search

SEED = 0
DIGITS = 3
"""Significant digits of a suggested number."""

DECADES = 10.0
"""A parameter whose largest value is that many times its smallest is searched on a logarithmic scale."""


class Suggestions:
    """A study of optuna (tree-structured Parzen estimator, Bergstra et al. 2011), asked and told.

    Raises:
        UserError: optuna is not installed.
    """

    def __init__(self, search: Search) -> None:
        try:
            import optuna
        except ImportError as error:
            raise UserError(
                'optuna is not installed; pip install "robustbench-pix[tune]" brings it, and without --optuna the grid '
                "is searched."
            ) from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=SEED)
        self.study: Any = optuna.create_study(direction="maximize", sampler=sampler)
        self.ranges = {name: _distribution(optuna.distributions, values) for name, values in search.items()}
        self.search = search
        self.trial: Any = None

    def ask(self) -> Point:
        """Return the next point."""
        self.trial = self.study.ask(self.ranges)
        return {name: _rounded(value, self.search[name]) for name, value in self.trial.params.items()}

    def tell(self, value: float) -> None:
        """Say how good the last point is: larger is better."""
        self.study.tell(self.trial, value)


def _distribution(of: Any, values: list[Any]) -> Any:
    if len(values) < 2 or not all(map(_is_number, values)):
        return of.CategoricalDistribution(values)
    low, high = min(values), max(values)
    log = low > 0 and high >= DECADES * low
    if all(isinstance(value, int) for value in values):
        return of.IntDistribution(low, high, log=log)
    return of.FloatDistribution(float(low), float(high), log=log)


def _rounded(value: Any, values: list[Any]) -> Any:
    if not isinstance(value, float) or not all(map(_is_number, values)):
        return value
    return min(max(float(f"{value:.{DIGITS}g}"), float(min(values))), float(max(values)))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
