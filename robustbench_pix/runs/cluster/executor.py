"""Submissions of jobs as tasks of Dask."""

import pickle
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import Lock
from typing import Any, ParamSpec, TypeVar

from robustbench_pix.errors import UserError
from robustbench_pix.runs.cluster.apart import CATALOGUE
from robustbench_pix.runs.cluster.messages import Answer, Order, sealed_call
from robustbench_pix.runs.cluster.parcels import pack_run, parcel_digest, unpack_run
from robustbench_pix.runs.cluster.versions import versions
from robustbench_pix.runs.cluster.worker_side import carry_out_order
from robustbench_pix.runs.executors import WorkerDiedError
from robustbench_pix.runs.job import Job
from robustbench_pix.runs.store import Store

P = ParamSpec("P")
T = TypeVar("T")

MOST_SUBMISSIONS = 2000
"""At once; each waits in a thread."""


class DaskExecutor(Executor):
    """Sends jobs to the workers of a client of Dask.

    Args:
        client: of Dask.
        order: what each submission states, save its jobs.
        store: where results go that workers send as bytes.
        catalogue: the packed catalogue files of the workspace where no disk is shared, else None.
        resources: what a worker must have declared.
    """

    def __init__(
        self, client: Any, order: Order, store: Store, *, catalogue: bytes | None, resources: dict[str, float]
    ) -> None:
        self.client, self.store, self.resources = client, store, resources
        self.parcels = {} if catalogue is None else {CATALOGUE: catalogue}
        self.order = replace(order, catalogue=None if catalogue is None else parcel_digest(catalogue))
        self.versions, self.pending = versions(), set[Any]()
        self.ended, self.lock = False, Lock()
        self.threads = ThreadPoolExecutor(MOST_SUBMISSIONS, thread_name_prefix="robustbench_pix-dask")

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Return the future of ``execute_here``, which is the only function, on some worker."""
        return self.threads.submit(self._carried_out, args[0])  # type: ignore[arg-type]

    def end(self) -> None:
        """Cancel what is not done, and submit nothing more."""
        with self.lock:
            self.ended, pending = True, list(self.pending)
        with suppress(Exception):  # Where the scheduler is lost, everything is cancelled already.
            self.client.cancel(pending, force=True)
        self.threads.shutdown(cancel_futures=True)

    def _carried_out(self, jobs: list[Job]) -> Any:
        order = replace(self.order, jobs=jobs)
        answer = self._answer(order)
        while answer.lacking:
            added = {name: self.parcels.get(name) or pack_run(self.store, name) for name in answer.lacking}
            order = replace(order, parcels=order.parcels | added)
            answer = self._answer(order, first=answer.worker)
        manifests = {job.name: job.manifest for job in jobs}
        for name, parcel in answer.made.items():
            unpack_run(self.store, name, parcel, manifests[name])
        return answer.failed

    def _answer(self, order: Order, first: str | None = None) -> Answer:
        """Return what a worker answers; ``first`` is the address of the one to be preferred.

        Raises:
            WorkerDiedError: it died.
            UserError: the scheduler is lost, or the worker cannot work for this client.
        """
        from distributed.scheduler import KilledWorker

        call = sealed_call(carry_out_order, self.versions, pickle.dumps(order))
        where = {"workers": [first], "allow_other_workers": True} if first else {}
        options = {"key": f"{order.jobs[0].name}-{uuid.uuid4().hex}", "resources": self.resources or None, **where}
        with self.lock:
            if self.ended:
                raise UserError("The run has ended.")
            future = self.client.submit(pickle.loads, call, pure=False, **options)
            self.pending.add(future)
        try:
            answer: Answer = future.result()
        except KilledWorker as death:
            raise WorkerDiedError(
                "ended in the middle, because memory or its time ran out, or its machine was lost",
                times=death.allowed_failures + 1,
            ) from None
        except CancelledError as error:
            raise UserError(
                "The connection to the scheduler of the cluster was lost; run the same command again: what was "
                "finished is kept."
            ) from error
        except (ImportError, AttributeError) as error:
            raise UserError(
                f"A worker cannot load what jobs need ({type(error).__name__}: {error}); install robustbench_pix there "
                "in the version of here, in the Python that starts the workers."
            ) from error
        finally:
            with self.lock:
                self.pending.discard(future)
            future.release()
        return answer


@contextmanager
def submitting(executor: DaskExecutor) -> Iterator[DaskExecutor]:
    """Give an executor; at the end, on Ctrl-C as on any exception, what is not done is cancelled."""
    try:
        yield executor
    finally:
        executor.end()
