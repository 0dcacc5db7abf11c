"""Typical seconds of jobs: the median of finished ones of the same group, of which a few are read."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from statistics import fmean, median

from robustbench_pix.runs.store import Store

READ = 9
"""Finished jobs that are read of a group."""

LEAST = 1e-3
"""Seconds that a job counts at least; a manifest states as many digits."""


class TypicalSeconds:
    """What jobs of a store take, by groups; a group is what jobs share that take about as long."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.read = defaultdict[Hashable, list[float]](list)

    def learn(self, group: Hashable, run: str) -> None:
        """Take note of what a finished job of a group took, unless enough of them are known."""
        known = self.read[group]
        if len(known) < READ and self.store.fault(run) is None:
            known.append(float(self.store.spec(run)["seconds"]))

    def of(self, group: Hashable) -> float | None:
        """Return the seconds of a job of a group, or None where none is known."""
        return median(self.read[group]) if self.read[group] else None

    def of_all(self, jobs: Mapping[Hashable, float]) -> tuple[float, float]:
        """Return the seconds of numbers of jobs, by their groups, and the number of those of unknown time."""
        known = [(count, self.of(group)) for group, count in jobs.items()]
        seconds = sum(count * each for count, each in known if each is not None)
        return seconds, sum(count for count, each in known if each is None)

    def weights(self, groups: Iterable[Hashable]) -> dict[Hashable, float]:
        """Return the seconds of a job of each group; of one that is not known the mean of the others, or 1."""
        found = {group: self.of(group) for group in groups}
        known = [seconds for seconds in found.values() if seconds is not None]
        usual = fmean(known) if known else 1.0
        return {group: max(LEAST, usual if seconds is None else seconds) for group, seconds in found.items()}


def in_words(seconds: float) -> str:
    """Return a duration as people say it.

    >>> in_words(42), in_words(200), in_words(9000), in_words(900_000)
    ('42 s', '3 min', '2.5 h', '10.4 d')
    """
    for unit, length in (("d", 86_400), ("h", 3_600)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
