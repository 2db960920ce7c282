"""Events reach every listener and read back from the log."""

from __future__ import annotations

import json
from pathlib import Path

from selrun.runtime.events import Event, JsonLog, RowsDropped, RunDone, TaskProgress, to_all, to_json


def test_an_event_is_a_flat_mapping_named_by_its_kind():
    assert to_json(TaskProgress("t1", 10, 2000, 0.5)) == {
        "event": "task_progress",
        "task": "t1",
        "rows": 10,
        "tokens": 2000,
        "seconds": 0.5,
        "dollars": 0.0,
    }


def test_the_log_is_one_line_per_event_and_is_appended_to(tmp_path: Path):
    path = tmp_path / "logs" / "events.jsonl"
    for _ in range(2):
        with JsonLog(path) as log:
            log(RowsDropped("top 5%", 3, "no score – “é”"))
            assert path.read_text(encoding="utf-8").endswith("}\n")
            log(RunDone(10, 7, 1, 100, 0.1, outputs=("a.jsonl",)))
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["event"] for line in lines] == ["rows_dropped", "run_done"] * 2
    assert lines[0]["reason"] == "no score – “é”"
    assert lines[1]["outputs"] == ["a.jsonl"]


def test_every_listener_hears_every_event():
    first: list[Event] = []
    second: list[Event] = []
    to_all([first.append, second.append])(RowsDropped("filter", 1, "false"))
    assert first == second == [RowsDropped("filter", 1, "false")]
