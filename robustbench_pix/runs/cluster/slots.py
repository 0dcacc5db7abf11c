"""How many jobs a cluster can do at once now; jobs of a queue, or processes, that it lost are submitted again."""

import time
from contextlib import suppress
from typing import Any

from robustbench_pix.errors import UserError
from robustbench_pix.runs.cluster.cluster_file import ClusterSpec, ScaledSpec
from robustbench_pix.runs.progress import Watcher

LOOK_SECONDS = 2.0
GONE_SECONDS = 20.0
"""A nanny begins another worker within seconds; after this time the whole job or process is gone."""

PATIENCE_SECONDS = 60.0


class Slots:
    """Counts the workers of a client of Dask; ``cluster`` is ours, or None."""

    def __init__(self, client: Any, cluster: Any, spec: ClusterSpec, watcher: Watcher) -> None:
        self.client, self.cluster, self.spec, self.watcher = client, cluster, spec, watcher
        self.began, self.looked, self.told, self.count = time.monotonic(), 0.0, False, 0
        self.seen = dict[Any, float]()

    def __call__(self) -> int:
        """Return how many submissions may run at once: a worker each, of adaptive clusters as many as there may be.

        Raises:
            UserError: the scheduler is lost.
        """
        now = time.monotonic()
        if now - self.looked >= LOOK_SECONDS:
            self.looked = now
            workers = self.client.scheduler_info()["workers"].values()
            if self.client.status not in ("running", "connecting", "newly-created"):
                raise UserError(
                    "The scheduler of the cluster was lost; run the same command again: what was finished is kept."
                )
            self.count = len(workers)
            self._replace_lost({str(worker["name"]) for worker in workers}, now)
            self._be_patient(now)
        return self.spec.most_workers or 1 if self.spec.is_adaptive else max(1, self.count)

    def _replace_lost(self, present: set[str], now: float) -> None:
        """Give up jobs of a queue, or processes, whose workers were there and are gone, and submit others."""
        if not isinstance(self.spec, ScaledSpec) or not hasattr(self.cluster, "worker_spec"):
            return
        submitted = {
            name: {f"{name}{end}" for end in of.get("group", [""])} for name, of in self.cluster.worker_spec.items()
        }
        self.seen |= dict.fromkeys((name for name, workers in submitted.items() if workers & present), now)
        gone = [name for name in submitted if now - self.seen.get(name, now) > GONE_SECONDS]
        if gone:
            for name in gone:
                del self.seen[name]  # Another job or process may get its name.
            with suppress(Exception):  # The queue may be away for a moment.
                self.cluster.sync(self.cluster.scale_down, gone)
            if not self.spec.is_adaptive:
                self.cluster.scale(self.spec.most_workers)

    def _be_patient(self, now: float) -> None:
        if self.count:
            self.began = now
        elif now - self.began > PATIENCE_SECONDS and not self.told:
            self.told = True
            self.watcher.say("No worker has come yet; the jobs wait until one does, and Ctrl-C ends the wait.")
