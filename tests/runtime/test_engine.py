"""Shards give the same answers wherever they run, and outlive their workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import psutil
import pytest
from selrun.errors import ModelError
from selrun.runtime.engine import LocalEngine, run_shards
from selrun.runtime.events import Event, ModelLoaded
from selrun.runtime.shards import InMemory, Shard, cut, share
from selrun.runtime.store import Store

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from toy_work import KEY, Toy, answers  # noqa: E402

FRAME = pl.DataFrame({"key": [f"{at * 40503 % 65536:08x}" for at in range(60)]})


def shards(folder: Path, *, rows: int = 10) -> list[Shard]:
    """The sixty rows in a file, ten to a shard."""
    source = share(FRAME, folder / "rows" / "rows.parquet")
    return cut(source, pl.repeat(1, len(FRAME), eager=True), rows)


def toy(folder: Path, **traits: object) -> Toy:
    return Toy(folder / "store", folder / "tried", **traits)  # type: ignore[arg-type]


def stored(folder: Path) -> pl.DataFrame:
    return Store(folder / "store").read(KEY, FRAME["key"])


def tried(folder: Path) -> dict[int, int]:
    """How often each shard was begun."""
    numbers = [int(path.name.split("-")[1]) for path in (folder / "tried").glob("shard-*")]
    return {number: numbers.count(number) for number in sorted(set(numbers))}


def workers_of(folder: Path) -> list[int]:
    return [int(path.name.removeprefix("pid-")) for path in (folder / "tried").glob("pid-*")]


def alive(numbers: Sequence[int]) -> list[int]:
    running = [psutil.Process(number) for number in numbers if psutil.pid_exists(number)]
    return [each.pid for each in running if each.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("workers", [None, 1, 2])
def test_every_shard_is_done_once_and_stored(tmp_path: Path, workers: int | None):
    heard: list[Event] = []
    engine = LocalEngine(workers=workers, listen=heard.append)
    done = list(run_shards(engine, toy(tmp_path), shards(tmp_path)))
    assert sorted(each.number for each in done) == list(range(6))
    assert sum(each.rows for each in done) == 60
    assert stored(tmp_path).equals(answers(FRAME))
    assert tried(tmp_path) == dict.fromkeys(range(6), 1)
    assert heard == [ModelLoaded("toy", 0.0, "float32", "cpu")] * (workers or 1)
    assert (os.getpid() in workers_of(tmp_path)) == (workers is None)
    assert alive(set(workers_of(tmp_path)) - {os.getpid()}) == []  # type: ignore[arg-type]


def test_devices_have_a_process_each():
    assert LocalEngine(("cuda:0", "cuda:1")).capacity().processes
    assert LocalEngine(("cuda:0", "cuda:1")).capacity().in_flight == 4
    assert not LocalEngine(("cuda:0",)).capacity().processes


def test_a_killed_worker_s_shards_are_done_by_another(tmp_path: Path):
    work = toy(tmp_path, dies=frozenset({0, 3}))
    done = list(run_shards(LocalEngine(workers=2), work, shards(tmp_path)))
    assert sorted(each.number for each in done) == list(range(6))
    assert stored(tmp_path).equals(answers(FRAME))
    assert tried(tmp_path) == {0: 2, 1: 1, 2: 1, 3: 2, 4: 1, 5: 1}


def test_a_shard_that_kills_every_worker_is_named_and_the_others_stay(tmp_path: Path):
    work = toy(tmp_path, dies=frozenset({3}), always=True)
    with pytest.raises(ModelError) as stopped:
        list(run_shards(LocalEngine(workers=1), work, shards(tmp_path)))
    assert stopped.value.code == "E620"
    assert stopped.value.headline == "3 workers died while computing rows 30 to 39 of the sweep"
    assert stopped.value.notes == ("the last one, on cpu, ended with signal SIGKILL",)
    assert tried(tmp_path)[3] == 3
    assert len(Store(tmp_path / "store").missing(KEY, FRAME["key"])) == 30


def test_workers_that_die_while_loading_are_not_started_for_ever(tmp_path: Path):
    with pytest.raises(ModelError, match="3 workers died while loading the model"):
        list(run_shards(LocalEngine(workers=1), toy(tmp_path, dies_loading=True), shards(tmp_path)))


@pytest.mark.parametrize("workers", [None, 1])
def test_an_error_of_ours_keeps_its_type_and_words(tmp_path: Path, workers: int | None):
    with pytest.raises(ModelError) as stopped:
        list(run_shards(LocalEngine(workers=workers), toy(tmp_path, fails=frozenset({1})), shards(tmp_path)))
    assert str(stopped.value) == "error[E404]: the toy does not load\n  = help: nothing"


def test_a_bug_in_a_worker_tells_where_it_is(tmp_path: Path):
    with pytest.raises(ZeroDivisionError) as stopped:
        list(run_shards(LocalEngine(workers=1), toy(tmp_path, breaks=frozenset({1})), shards(tmp_path)))
    assert "in a worker process" in stopped.value.__notes__[0]
    assert "toy_work.py" in stopped.value.__notes__[0]


@pytest.mark.parametrize("workers", [None, 1])
def test_a_shard_without_rows_is_done(tmp_path: Path, workers: int | None):
    nothing = Shard(0, shards(tmp_path)[0].source, 5, 5)
    assert [each.rows for each in run_shards(LocalEngine(workers=workers), toy(tmp_path), [nothing])] == [0]
    assert list(run_shards(LocalEngine(workers=workers), toy(tmp_path), [])) == []


def test_next_done_gives_up_after_its_timeout(tmp_path: Path):
    engine = LocalEngine(workers=1)
    pool = engine.start(toy(tmp_path, seconds=60))
    engine.submit(pool, shards(tmp_path)[0])
    assert engine.next_done(pool, 0.05) is None
    began = time.monotonic()
    engine.stop(pool)
    assert time.monotonic() - began < 5


def test_a_shard_completed_twice_is_harmless(tmp_path: Path):
    first = shards(tmp_path)
    list(run_shards(LocalEngine(), toy(tmp_path), [*first, *first]))
    assert stored(tmp_path).equals(answers(FRAME))


def test_shards_are_cut_by_weight_and_cover_all_rows():
    weights = pl.Series([3, 3, 3, 20, 1, 1])
    source = InMemory(FRAME[:6])
    assert [(each.start, each.stop) for each in cut(source, weights, 6)] == [(0, 2), (2, 3), (3, 4), (4, 6)]
    assert cut(source, weights[:0], 6) == []


DRIVER = """
    import sys
    sys.path.insert(0, sys.argv[2])
    if __name__ == "__main__":
        from pathlib import Path
        from test_engine import LocalEngine, run_shards, shards, toy
        folder = Path(sys.argv[1])
        try:
            list(run_shards(LocalEngine(workers=2), toy(folder, seconds=3), shards(folder)))
        except KeyboardInterrupt:
            print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize(("sent", "said"), [(signal.SIGINT, "interrupted\n"), (signal.SIGKILL, "")])
def test_no_worker_outlives_the_driver(tmp_path: Path, sent: signal.Signals, said: str):
    script = tmp_path / "driver.py"
    script.write_text(textwrap.dedent(DRIVER))
    driver = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path), str(HERE)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    wait_until(lambda: len(list((tmp_path / "tried").glob("shard-*"))) == 2)
    if sent == signal.SIGINT:
        os.killpg(driver.pid, sent)  # as a terminal does
    else:
        driver.send_signal(sent)
    assert driver.communicate(timeout=20) == (said, "")
    wait_until(lambda: alive(workers_of(tmp_path)) == [])


def wait_until(holds, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)
