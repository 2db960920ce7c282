"""Ctrl-C in the middle of a run: exit 3, nothing lost, and the same command goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

RECIPE = "score perplexity using nano | score loss using nano with max_tokens = 600 | top 10 by loss"


def started(folder: Path, tasks: Path) -> subprocess.Popen[str]:
    words = ("-e", RECIPE, "--data", str(tasks), "--out", "o.jsonl", "--events", "events.jsonl")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "SELRUN_STORE": str(folder / "store")}
    return subprocess.Popen(
        [sys.executable, "-m", "selrun", *words],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def events(folder: Path) -> list[dict]:
    path = folder / "events.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def test_an_interrupted_run_goes_on(tmp_path: Path, tasks: Path):
    run = started(tmp_path, tasks)
    while run.poll() is None and not any(e["event"] == "task_done" for e in events(tmp_path)):
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=120)
    assert run.returncode == 3, err
    assert "interrupted; what was computed is stored" in err
    assert "Traceback" not in err
    assert not (tmp_path / "o.jsonl").exists()

    seen = len(events(tmp_path))
    again = started(tmp_path, tasks)
    assert again.wait(timeout=300) == 0
    again.communicate()
    begun = [e for e in events(tmp_path)[seen:] if e["event"] == "task_started"]
    assert begun[0]["rows"] == 0, "the sweep that was done is done again"
    assert len((tmp_path / "o.jsonl").read_text().splitlines()) == 10
