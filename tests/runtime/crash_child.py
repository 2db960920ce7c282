"""A run without a model that a test kills: `crash_child.py STORE LOG ROWS STEP` stores what is missing."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import polars as pl
from selrun.runtime.shards import InMemory, cut
from selrun.runtime.store import Store
from toy_work import KEY, META, answers


def keys(count: int) -> pl.Series:
    """As many keys as are asked for, the same each time."""
    return pl.Series("key", [f"{at * 2654435761 % 2**32:08x}" for at in range(count)], dtype=pl.String)


def main(root: str, log: str, count: str, step: str) -> None:
    """Each shard is logged when it begins, then stored."""
    store = Store(root)
    missing = store.missing(KEY, keys(int(count))).to_frame("key")
    begun = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    print("ready", flush=True)
    for shard in cut(InMemory(missing), pl.repeat(1, len(missing), eager=True), int(step)):
        frame = shard.frame()
        os.write(begun, f"{len(frame)}\n".encode())
        time.sleep(0.001)  # so that no disk is fast enough to be done before it is killed
        store.write(KEY, answers(frame), META)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(*sys.argv[1:])
