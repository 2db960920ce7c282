"""Where shards are computed: an engine runs the same work in this process, in several, or elsewhere.

An engine knows nothing of models and stores. It opens a `Work` once per worker and hands it shards; the
worker stores its answers itself, so that a lost, repeated or late completion costs time and nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from .events import Listener, ModelLoaded, ignore
from .shards import Shard, ShardDone


class Worker(Protocol):
    """A loaded model, or whatever else answers shards."""

    @property
    def loaded(self) -> ModelLoaded | None:
        """What to tell of the loading, if anything."""
        ...

    def run(self, shard: Shard) -> ShardDone:
        """The shard's answers are in the store when this returns."""
        ...


class Work(Protocol):
    """What workers do; it travels to them pickled, so it holds descriptions and no models."""

    def open(self, device: str) -> Worker:
        """A worker on the device (`cpu`, `cuda:1`, `mps`); called once in each worker process."""
        ...


class Pool(Protocol):
    """Workers that were started for one work."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many shards an engine works on at once, and whether they leave this process."""

    workers: int
    processes: bool

    @property
    def in_flight(self) -> int:
        """Shards to have submitted: one in work and one waiting per worker."""
        return 2 * self.workers


class Engine(Protocol):
    """The five calls that every engine answers."""

    def start(self, work: Work) -> Pool:
        """Workers for the work; returns before they have loaded it."""
        ...

    def submit(self, pool: Pool, shard: Shard) -> None:
        """The shard will be worked on; returns at once."""
        ...

    def next_done(self, pool: Pool, timeout: float | None = None) -> ShardDone | None:
        """A finished shard in any order, each once; `None` after `timeout` seconds or with nothing in flight.

        An error of ours raised by the work is raised here, with its type.
        """
        ...

    def stop(self, pool: Pool) -> None:
        """No worker of the pool remains; shards in flight are given up."""
        ...

    def capacity(self) -> Capacity:
        """What the engine can do at once."""
        ...


class Here:
    """A pool of one worker in this process, opened when the first shard is due."""

    def __init__(self, work: Work, device: str, listen: Listener):
        self._work = work
        self._device = device
        self._listen = listen
        self._waiting: deque[Shard] = deque()
        self._worker: Worker | None = None

    def submit(self, shard: Shard) -> None:
        """The shard waits until `next_done` works on it."""
        self._waiting.append(shard)

    def next_done(self, timeout: float | None) -> ShardDone | None:
        """The next shard, worked on now; the timeout cannot interrupt it."""
        return self._open().run(self._waiting.popleft()) if self._waiting else None

    def stop(self) -> None:
        """The worker is let go."""
        self._waiting.clear()
        self._worker = None

    def _open(self) -> Worker:
        if self._worker is None:
            self._worker = self._work.open(self._device)
            if self._worker.loaded:
                self._listen(self._worker.loaded)
        return self._worker


class LocalEngine:
    """This machine: one device in this process, several devices in one process each.

    `workers` forces that many processes, spread over the devices.
    """

    def __init__(
        self, devices: Sequence[str] = ("cpu",), *, workers: int | None = None, listen: Listener = ignore
    ):
        self._apart = workers is not None or len(devices) > 1
        self._devices = [devices[at % len(devices)] for at in range(workers or len(devices))]
        self._listen = listen

    def start(self, work: Work) -> Pool:
        """A pool here or in processes of its own."""
        from .processes import Processes

        if self._apart:
            return Processes(work, self._devices, self._listen)
        return Here(work, self._devices[0], self._listen)

    def submit(self, pool: Pool, shard: Shard) -> None:
        """The shard will be worked on."""
        _own(pool).submit(shard)

    def next_done(self, pool: Pool, timeout: float | None = None) -> ShardDone | None:
        """A finished shard in any order."""
        return _own(pool).next_done(timeout)

    def stop(self, pool: Pool) -> None:
        """No worker remains."""
        _own(pool).stop()

    def capacity(self) -> Capacity:
        """One shard per device or worker."""
        return Capacity(len(self._devices), self._apart)


class _LocalPool(Protocol):
    def submit(self, shard: Shard) -> None: ...
    def next_done(self, timeout: float | None) -> ShardDone | None: ...
    def stop(self) -> None: ...


def _own(pool: Pool) -> _LocalPool:
    from .processes import Processes

    if isinstance(pool, Here | Processes):
        return pool
    raise TypeError(f"{type(pool).__name__} was not started by this engine")


@contextmanager
def started(engine: Engine, work: Work) -> Iterator[Pool]:
    """A pool for the work that is stopped whatever happens, Ctrl-C included."""
    pool = engine.start(work)
    try:
        yield pool
    finally:
        engine.stop(pool)


def run_shards(engine: Engine, work: Work, shards: Iterable[Shard]) -> Iterator[ShardDone]:
    """Every shard once it is done, in any order, with no more in flight than the engine has use for."""
    waiting = iter(shards)
    with started(engine, work) as pool:
        flying = 0
        while True:
            flying += _fill(engine, pool, waiting, engine.capacity().in_flight - flying)
            if not flying:
                return
            if done := engine.next_done(pool):
                flying -= 1
                yield done


def _fill(engine: Engine, pool: Pool, waiting: Iterator[Shard], room: int) -> int:
    taken = 0
    for shard in waiting if room else ():
        engine.submit(pool, shard)
        taken += 1
        if taken == room:
            break
    return taken
