"""Runs a recipe in forked children: two at once on one store, then some that are killed at random moments.

`killed_runs.py FOLDER KILLS SEED`: FOLDER holds `rows.jsonl` and `recipe.sel`. Prints how many were killed; their
successor writes `resumed.jsonl`, the two at once `one.jsonl` and `other.jsonl`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from random import Random

from selrun.runtime import answers, execute, fitting, models, sources, sweeping, train  # noqa: F401
from selrun.runtime.forward import gemm
from selrun.runtime.run import execute as run
from selrun.runtime.settings import Settings

sweeping.FIRST_SHARD_TOKENS = 1500
gemm.onednn_is_faster = lambda *_: (
    False
)  # Which product is faster is measured, and rounds its last digit its own way.


def child(folder: Path, out: str, store: str) -> int:
    """A process that runs the recipe."""
    process = os.fork()
    if process:
        return process
    os.chdir(folder)
    recipe = [("recipe.sel", Path("recipe.sel").read_text("utf-8"))]
    run(recipe, Settings(data="rows.jsonl", out=out, store=Path(store)))
    os._exit(0)


def segments(folder: Path) -> int:
    return sum(1 for path in (folder / "killed").rglob("*") if path.is_file())


def killed(folder: Path, random: Random) -> bool:
    """Kills a child after it has written a few files, or after a moment; whether it was still alive then."""
    process, started, before = child(folder, "resumed.jsonl", "killed"), time.monotonic(), segments(folder)
    more, patience = random.randint(1, 4), random.uniform(0.2, 6)
    while segments(folder) < before + more and time.monotonic() - started < patience:
        if os.waitpid(process, os.WNOHANG)[0]:
            return False
        time.sleep(0.002)
    time.sleep(random.uniform(0, 0.05))
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return True


def finished(process: int) -> bool:
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status) == 0


def main(folder: Path, kills: int, seed: int) -> None:
    both = [child(folder, out, "shared") for out in ("one.jsonl", "other.jsonl")]
    done = [finished(process) for process in both]
    random = Random(seed)
    print(sum(killed(folder, random) for _ in range(kills)))
    done.append(finished(child(folder, "resumed.jsonl", "killed")))
    sys.exit(not all(done))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
