"""Work without a model: it stores the length of every key, and can be told to die or to fail."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from selrun.errors import ModelError
from selrun.runtime.events import ModelLoaded
from selrun.runtime.shards import Shard, ShardDone
from selrun.runtime.store import PassMeta, Store, pass_key

META = PassMeta(model="toy", tokenizer="none", view="{}", want="{}", dtype="float32", version=1, label="toy")
KEY = pass_key(META)


def answers(frame: pl.DataFrame) -> pl.DataFrame:
    """What the toy answers: a number that the key decides."""
    answer = pl.col("key").str.slice(0, 6).str.to_integer(base=16).cast(pl.Float32)
    return frame.select("key", answer=answer, problem=pl.lit(None, pl.String))


@dataclass(frozen=True)
class Toy:
    """Stores answers; `dies` and `fails` name shards, `folder` keeps count of what was tried."""

    root: Path
    folder: Path
    dies: frozenset[int] = field(default_factory=frozenset)
    always: bool = False
    fails: frozenset[int] = field(default_factory=frozenset)
    breaks: frozenset[int] = field(default_factory=frozenset)
    seconds: float = 0.0
    dies_loading: bool = False

    def open(self, device: str) -> ToyWorker:
        """A worker that tells its process number."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / f"pid-{os.getpid()}").touch()
        if self.dies_loading:
            os.kill(os.getpid(), signal.SIGKILL)
        return ToyWorker(self, Store(self.root), device)


class ToyWorker:
    """Answers shards as its work says."""

    def __init__(self, work: Toy, store: Store, device: str):
        self.work = work
        self.store = store
        self.loaded = ModelLoaded("toy", 0.0, "float32", device)

    def run(self, shard: Shard) -> ShardDone:
        """The shard is stored, or this process dies, or an error is raised."""
        tried = len(list(self.work.folder.glob(f"shard-{shard.number}-*")))
        (self.work.folder / f"shard-{shard.number}-{tried}").touch()
        time.sleep(self.work.seconds)
        if shard.number in self.work.dies and (self.work.always or not tried):
            os.kill(os.getpid(), signal.SIGKILL)
        if shard.number in self.work.fails:
            raise ModelError("E404", "the toy does not load", help="nothing")
        if shard.number in self.work.breaks:
            raise ZeroDivisionError("a bug")
        frame = shard.frame()
        self.store.write(KEY, answers(frame), META)
        return ShardDone(shard.number, len(frame), 0, 0.0)
