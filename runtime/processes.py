"""A pool of worker processes that outlives the death of any of them."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
import traceback
from collections import deque
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Literal, TypeAlias

from ..errors import ModelError
from .events import Listener, ModelLoaded
from .shards import Shard, ShardDone

if TYPE_CHECKING:
    from .engine import Work

RETRIES = 2
"""How often a shard is tried again after a worker died over it."""

Message: TypeAlias = (
    tuple[Literal["opened"], ModelLoaded | None]
    | tuple[Literal["done"], ShardDone]
    | tuple[Literal["failed"], BaseException]
)


@dataclass(slots=True)
class _Seat:
    """A device and the process that works on it now."""

    device: str
    process: BaseProcess
    pipe: Connection
    shards: deque[Shard] = field(default_factory=deque)
    """Sent and not done; the first is in work, if the worker has opened."""
    opened: bool = False


class Processes:
    """One spawned process per device; a shard whose worker dies goes to a fresh one, at most twice."""

    def __init__(self, work: Work, devices: list[str], listen: Listener):
        self._work = pickle.dumps(work)
        self._listen = listen
        self._waiting: deque[Shard] = deque()
        self._deaths: dict[int, int] = {}
        self._seats: list[_Seat] = []
        self._threads = max(1, (os.cpu_count() or 1) // len(devices))
        try:
            for device in devices:
                self._seats.append(self._seat(device))
        except BaseException:
            self.stop()
            raise

    def submit(self, shard: Shard) -> None:
        """The shard is sent to the worker with the fewest, or waits for one."""
        self._waiting.append(shard)
        self._send_waiting()

    def next_done(self, timeout: float | None) -> ShardDone | None:
        """A finished shard; the workers' errors are raised here."""
        until = None if timeout is None else time.monotonic() + timeout
        while self._waiting or any(seat.shards for seat in self._seats):
            self._send_waiting()
            left = None if until is None else max(0.0, until - time.monotonic())
            ready = wait([seat.pipe for seat in self._seats], left)
            if not ready:
                return None
            if done := self._hear(next(seat for seat in self._seats if seat.pipe is ready[0])):
                return done
        return None

    def stop(self) -> None:
        """Idle workers are asked to leave, busy ones are ended."""
        self._waiting.clear()
        for seat in self._seats:
            _dismiss(seat)
        for seat in self._seats:
            _end(seat)
        self._seats.clear()

    def _send_waiting(self) -> None:
        while self._waiting:
            seat = min(self._seats, key=lambda seat: len(seat.shards))
            if len(seat.shards) >= 2:
                return
            shard = self._waiting.popleft()
            seat.shards.append(shard)
            try:
                seat.pipe.send(shard)
            except (BrokenPipeError, ConnectionResetError):
                return  # its death is heard, and the shard sent again, in next_done

    def _hear(self, seat: _Seat) -> ShardDone | None:
        try:
            message: Message = seat.pipe.recv()
        except (EOFError, ConnectionResetError):
            self._replace(seat)
            return None
        match message:
            case ("opened", loaded):
                return self._welcome(seat, loaded)
            case ("done", done):
                return self._finish(seat, done)
            case ("failed", error):
                raise error

    def _welcome(self, seat: _Seat, loaded: ModelLoaded | None) -> None:
        seat.opened = True
        if loaded:
            self._listen(loaded)

    def _finish(self, seat: _Seat, done: ShardDone) -> ShardDone:
        seat.shards.popleft()
        return done

    def _replace(self, seat: _Seat) -> None:
        """A fresh worker takes the seat, and its shards wait again, the one that it died over first."""
        _end(seat)
        if seat.shards:
            self._count_death(seat, seat.shards[0])
        self._waiting.extendleft(reversed(seat.shards))
        self._seats[self._seats.index(seat)] = self._seat(seat.device)

    def _count_death(self, seat: _Seat, shard: Shard) -> None:
        deaths = self._deaths[shard.number] = self._deaths.get(shard.number, 0) + 1
        if deaths > RETRIES:
            raise _died(seat, shard, deaths)

    def _seat(self, device: str) -> _Seat:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_serve,
            args=(theirs, self._work, device, self._threads),
            daemon=True,
            name=f"selrun {device}",
        )
        process.start()
        theirs.close()
        return _Seat(device, process, ours)


def _died(seat: _Seat, shard: Shard, deaths: int) -> ModelError:
    doing = "computing" if seat.opened else "loading the model for"
    return ModelError(
        "E620",
        f"{deaths} workers died while {doing} rows {shard.start} to {shard.stop - 1} of the sweep",
        notes=(f"the last one, on {seat.device}, ended with {_ending(seat.process.exitcode)}",),
        help=(
            "if the system ended it for memory, use a smaller model, or fewer workers",
            "run the same command again to continue: finished shards are kept",
        ),
    )


def _ending(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def _dismiss(seat: _Seat) -> None:
    if seat.shards or not seat.opened:
        seat.process.terminate()
        return
    try:
        seat.pipe.send(None)
    except OSError:
        seat.process.terminate()


def _end(seat: _Seat) -> None:
    seat.process.join(5)
    if seat.process.is_alive():
        seat.process.kill()
        seat.process.join()
    seat.pipe.close()


def _serve(pipe: Connection, pickled: bytes, device: str, threads: int) -> None:
    """What a worker process does until it is dismissed or the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the driver decides
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # before the pickled work imports anything
    try:
        _answer(pipe, pickled, device)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except BaseException as error:
        _tell_failure(pipe, error)


def _answer(pipe: Connection, pickled: bytes, device: str) -> None:
    work: Work = pickle.loads(pickled)
    worker = work.open(device)
    pipe.send(("opened", worker.loaded))
    while shard := pipe.recv():
        pipe.send(("done", worker.run(shard)))


def _tell_failure(pipe: Connection, error: BaseException) -> None:
    error.add_note(f"in a worker process:\n{traceback.format_exc()}")
    try:
        pipe.send(("failed", pickle.loads(pickle.dumps(error))))
    except (BrokenPipeError, ConnectionResetError):
        return
    except (pickle.PickleError, TypeError, AttributeError):  # it cannot be pickled and travels as its text
        pipe.send(("failed", RuntimeError(traceback.format_exc())))
