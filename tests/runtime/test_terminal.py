"""What a run shows: bars to a person, plain lines to a file, a summary at the end."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from selrun.runtime.events import Event, ModelLoaded, RunStarted, TaskDone, TaskProgress, TaskStarted, Warned
from selrun.runtime.summary import headline, model_lines, span, step_lines, table
from selrun.runtime.terminal import Bars, Lines, Silence, bars, is_terminal, shown

EVENTS: list[Event] = [
    RunStarted("a.sel", None, 3, "/store"),
    Warned("W430", "nano knows nothing"),
    Warned("W610", "a segment is damaged"),
    TaskStarted("1", "score ifd: prompt and response", 0, None, 400),
    TaskDone("1", 0, 0, 0.0, 400),
    TaskStarted("2", "score ifd: response", 400, None, 100),
    ModelLoaded("nano", 0.31, "float32", "cpu"),
    TaskProgress("2", 40, 20_000, 5.0),
    TaskProgress("2", 100, 50_000, 12.5),
    TaskProgress("2", 120, 60_000, 15.0),
    TaskProgress("2", 400, 200_000, 50.0),
    TaskDone("2", 400, 200_000, 50.0, 100, 3),
]


def test_plain_lines_come_now_and_then_without_control_characters():
    stream = io.StringIO()
    lines = Lines(stream)
    for event in EVENTS:
        lines(event)
    assert stream.getvalue() == (
        "note: nano knows nothing\n"
        "warning[W610]: a segment is damaged\n"
        "score ifd: prompt and response: 400 rows, all from the store\n"
        "score ifd: response: 400 rows to do, 100 stored\n"
        "nano loaded in 0.3 s: float32 on cpu\n"
        "score ifd: response: 100 of 400 rows, 4,000 tokens/s, 38 s left\n"
        "score ifd: response: 400 of 400 rows, 4,000 tokens/s\n"
        "score ifd: response: 400 rows in 50 s, 4,000 tokens/s, 3 without an answer\n"
    )


def test_bars_show_rows_speed_and_time_left():
    from rich.console import Console

    stream = io.StringIO()
    with bars(Console(file=stream, force_terminal=True, width=110)) as progress:
        screen = Bars(progress)
        for event in EVENTS[:9]:
            screen(event)
        task = progress.tasks[0]
        assert (task.completed, task.total) == (100, 400)
        assert task.fields == {"speed": "4,000 tokens/s", "left": "38 s left"}
        for event in EVENTS[9:]:
            screen(event)
        assert progress.tasks == []
    text = stream.getvalue()
    assert "score ifd: response: 400 rows in 50 s, 4,000 tokens/s, 3 without an answer" in text


def test_lines_are_chosen_where_nobody_watches(monkeypatch: pytest.MonkeyPatch):
    assert not is_terminal(io.StringIO())
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with shown() as screen:
        assert isinstance(screen, Lines)


def test_silence_says_nothing(capsys: pytest.CaptureFixture[str]):
    silence = Silence()
    for event in EVENTS:
        silence(event)
    assert capsys.readouterr() == ("", "")


def step(
    title: str, before: int, after: int, kind: str = "pick", nulls: int = 0, **notes: Any
) -> dict[str, Any]:
    return {
        "title": title, "kind": kind, "rows_in": before, "rows_out": after, "without_value": nulls, "notes": notes,
    }  # fmt: skip


def test_the_summary_says_why_rows_went():
    steps = [
        step("input", 1002, 1000, "read"),
        step("score ifd using nano", 1000, 1000, "score", 7),
        step("filter len(response) > 10", 1000, 900, "filter"),
        step("top 5% by ifd", 900, 45, threshold=0.91234, scored=893),
        step("sample 10", 45, 10),
    ]
    assert headline(steps, 10) == "1,002 rows in, 10 kept (1.0 %)"
    assert "\n".join(step_lines(steps)) == (
        "  input                      1,000   2 dropped: cannot be read\n"
        "  score ifd using nano       1,000   7 without a value\n"
        "  filter len(response) > 10    900   100 dropped: the condition is not true\n"
        "  top 5% by ifd                 45   855 dropped: worse than the last kept, 0.9123; 7 with no value\n"
        "  sample 10                     10   35 dropped: not drawn"
    )


def test_places_in_groups_are_counted():
    quotas = [{"cluster": 0, "places": 5}, {"cluster": 1, "places": 0}]
    assert list(step_lines([step("top 5", 50, 5, threshold=0.5, quotas=quotas)])) == [
        "  top 5  5   45 dropped: no place left in their group; 1 of 2 groups have places"
    ]


def test_the_summary_counts_what_was_run_and_what_was_stored():
    sweep = {"rows": 400, "tokens": 200_000, "seconds": 50.0, "cached": 100, "failed": 3}
    stored = {"rows": 0, "tokens": 0, "seconds": 0.0, "cached": 500, "failed": 0}
    trained = {"title": "warmup(nano, 5%)", "rows": 25, "seconds": 12.0, "cached": False}
    lines = list(model_lines({"trained": [trained], "sweeps": [sweep, stored]}))
    assert table(lines) == [
        "  trained  warmup(nano, 5%) on 25 rows, 12 s",
        "  sweeps   1 run, 1 from the store; 400 forward passes, 200,000 tokens, 4,000 tokens/s; "
        "600 passes from the store; 3 rows without an answer",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (48, "48 s"),
        (59.7, "1 min 00 s"),
        (192, "3 min 12 s"),
        (7500, "2 h 05 min"),
    ],
)
def test_time_is_written_as_people_read_it(seconds: float, text: str):
    assert span(seconds) == text


def test_a_long_title_is_cut():
    lines = list(step_lines([step("filter " + "x" * 80, 2, 2)]))
    assert lines == ["  filter " + "x" * 52 + "…  2"]


def test_a_finished_run_prints_its_summary(capsys: pytest.CaptureFixture[str]):
    lines = Lines(io.StringIO())
    for event in EVENTS[:2]:
        lines(event)
    manifest = {"steps": [step("input", 3, 3, "read")], "trained": [], "sweeps": [], "seconds": 0.5}
    run: Any = SimpleNamespace(manifest=manifest, rows=SimpleNamespace(height=3), outputs=())
    lines.finish(run)
    assert capsys.readouterr().out == (
        "3 rows in, 3 kept (100.0 %)\n\n  input  3\n\n"
        "  time     0.5 s\n  store    /store\n  note     nano knows nothing\n"
    )
