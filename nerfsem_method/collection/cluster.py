"""With a scheduler the machines of a Dask cluster do the work: one task an item, each of which runs its process on a worker.

Dask moves the tasks, and begins one again elsewhere when its worker is lost; nothing here decides anything but what a task is.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from nerfsem_method.collection.attempt import attempt
from nerfsem_method.collection.job import Job, Outcome
from nerfsem_method.desk import cores
from nerfsem_method.errors import NerfsemError
from nerfsem_method.stopping import GO_ON
from nerfsem_method.temporary import temporary_folder

FEWEST = 16
"""At least so many tasks wait at the scheduler, so that a cluster that grows by what waits has a reason to."""
CONNECT_SECONDS = 10.0
COUNT_SECONDS = 5.0
"""Workers come and go; they are counted so often."""

Work = Callable[[Job, dict[str, int]], Outcome]


class Cluster:
    """The engine of a cluster hands jobs to a scheduler; twice as many as there are threads, so that no worker waits for one."""

    def __init__(self, address: str, resources: Sequence[str] = (), work: Work | None = None) -> None:
        """Connect. Raises NerfsemError where Dask is missing, no scheduler answers, or `resources` are not NAME=NUMBER."""
        try:
            from distributed import Client
        except ModuleNotFoundError:
            raise NerfsemError("--scheduler needs Dask: python -m pip install 'nerfsem[cluster]'") from None
        self._resources, self._work, self._address = _numbers(resources), work or _do, address
        try:
            self._client = Client(address, timeout=CONNECT_SECONDS)
        except (OSError, ValueError, TypeError) as error:
            raise NerfsemError(
                f"no scheduler answers at {address} ({str(error) or type(error).__name__}); start one by `dask scheduler`, and "
                "give the address that it tells"
            ) from None
        self._counted, self._slots = 0.0, {}

    def __str__(self) -> str:
        self._count()
        return f"{sum(self._slots.values())} at once on {len(self._slots)} machines of {self._address}"

    @property
    def window(self) -> int:
        """So many jobs are handed over at once."""
        self._count()
        return max(FEWEST, 2 * sum(self._slots.values()))

    def submit(self, job: Job, heard: Callable[[Future[Outcome]], None]) -> None:
        """Have a job done; `heard` is called with its future when it is."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph")  # files are sent along on purpose
            future: Any = self._client.submit(
                self._work, job, self._slots, key=f"nerfsem-item-{uuid4().hex}", pure=False, resources=self._resources or None
            )
        future.add_done_callback(heard)

    def check(self) -> None:
        """Raise NerfsemError when the scheduler has gone."""
        if self._client.status not in ("running", "connecting"):
            raise NerfsemError(f"the scheduler at {self._address} has gone; start it, and {GO_ON}")

    def close(self) -> None:
        """Leave the cluster; tasks that nobody waits for any more end themselves."""
        self._client.close(timeout=CONNECT_SECONDS)

    def _count(self) -> None:
        """Count the threads of each machine's workers."""
        if self._slots and time.monotonic() - self._counted < COUNT_SECONDS:
            return
        self._counted = time.monotonic()
        self._slots = {}
        counted: Any = self._client.nthreads()
        for worker, threads in counted.items():
            self._slots[_host(worker)] = self._slots.get(_host(worker), 0) + threads


def _do(job: Job, slots: dict[str, int]) -> Outcome:
    """Do a job on a worker, with its part of the machine's cores; end when nobody waits for it any more."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    if not job.files and not os.path.exists(job.source):
        return Outcome(reason=f"{job.source} is not seen by the worker {worker.address}; share its path, or give --send-inputs")

    def abandoned() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state != "executing"

    threads = max(1, cores() // slots.get(_host(worker.address), 1))
    with temporary_folder("item", Path(worker.local_directory)) as folder:
        return attempt(replace(job, threads=threads, work=str(folder)), abandoned)


def _host(address: str) -> str:
    return address.rpartition("://")[2].rpartition(":")[0]


def _numbers(resources: Sequence[str]) -> dict[str, float]:
    """Return resources such as GPU=1 as Dask wants them. Raises NerfsemError for a text that is none."""
    found = {}
    for text in resources:
        name, _, number = text.partition("=")
        try:
            found[name] = float(number)
        except ValueError:
            found[name] = -1.0
        if not name or not found[name] > 0:
            raise NerfsemError(f"--resources {text} is no resource; give NAME=NUMBER, such as GPU=1")
    return found
