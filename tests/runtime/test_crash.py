"""A run that is killed at any moment loses at most the shards in flight, and ends with the same answers."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from selrun.runtime import durable
from selrun.runtime.store import Store

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import crash_child  # noqa: E402
from toy_work import KEY, answers  # noqa: E402

ROWS, STEP, KILLS = 12_000, 5, 24

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")


def begin(store: Path, log: Path, rows: int = ROWS, step: int = STEP) -> subprocess.Popen[str]:
    """A child that has opened the store and begins to write."""
    command = [sys.executable, str(HERE / "crash_child.py"), str(store), str(log), str(rows), str(step)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def kill_soon(child: subprocess.Popen[str], seconds: float) -> bool:
    """Whether the child was still at work when it was killed."""
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    return child.wait() == -signal.SIGKILL


def whole(store: Store) -> bool:
    """Whether each segment under a final name has the bytes that its name promises."""
    paths = list((store.root / "passes").rglob("*.parquet"))
    return all(path.stem.endswith(durable.checksum(path)) for path in paths)


def test_killed_at_random_moments_it_resumes_to_the_same_answers(tmp_path: Path):
    chance = random.Random(20)
    root, log = tmp_path / "store", tmp_path / "log"
    kills = 0
    for _ in range(KILLS):
        kills += kill_soon(begin(root, log), chance.uniform(0.0, 0.1))
        assert whole(Store(root))
    last = begin(root, log)
    assert last.wait() == 0
    store, keys = Store(root), crash_child.keys(ROWS)
    assert store.read(KEY, keys).equals(answers(keys.to_frame("key")))
    assert store.verify() == []
    computed = sum(map(int, log.read_text().split()))
    assert ROWS <= computed <= ROWS + kills * STEP
    assert kills >= 20
    store.sweep()
    assert list(root.rglob("*.tmp")) == []


def test_two_runs_share_one_store(tmp_path: Path):
    root, rows = tmp_path / "store", 3_000
    children = [begin(root, tmp_path / f"log-{at}", rows) for at in range(2)]
    assert [child.wait() for child in children] == [0, 0]
    store, keys = Store(root), crash_child.keys(rows)
    assert store.missing(KEY, keys).is_empty()
    assert store.read(KEY, keys).equals(answers(keys.to_frame("key")))
    assert store.verify() == []


def test_a_reader_never_misses_what_was_there_while_segments_are_united(tmp_path: Path):
    store = Store(tmp_path / "store")
    known = crash_child.keys(500)
    store.write(KEY, answers(known.to_frame("key")), crash_child.META)
    child = begin(store.root, tmp_path / "log", 3_000)
    looks = 0
    while child.poll() is None:
        assert store.missing(KEY, known).is_empty()
        assert len(store.read(KEY, known)) == 500
        looks += 1
    assert looks > 10
    assert child.returncode == 0
