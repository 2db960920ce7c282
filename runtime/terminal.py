"""Shows a run while it goes on: bars where somebody watches, plain lines where the output is kept.

Progress goes to the standard error, the summary to the standard output.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol

from .events import (
    Event,
    ModelLoaded,
    RowsDropped,
    RunDone,
    RunStarted,
    TaskDone,
    TaskProgress,
    TaskStarted,
    Warned,
)
from .summary import span, summary

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from .run import Run

EVERY = 10.0
"""Seconds between two lines of progress where nobody watches."""
NOTE = "W430"
"""The code of what a user should know of a model; the summary repeats it."""


class Screen(Protocol):
    """Listens to a run and shows it."""

    def __call__(self, event: Event) -> None: ...

    def finish(self, run: Run) -> None:
        """Shows the summary."""
        ...


@contextmanager
def shown() -> Iterator[Screen]:
    """Bars on a terminal, else lines without control characters."""
    if not is_terminal(sys.stderr):
        yield Lines(sys.stderr)
        return
    with bars() as progress:
        yield Bars(progress)


@contextmanager
def quiet() -> Iterator[Screen]:
    """Nothing but errors, which are not this listener's."""
    yield Silence()


def is_terminal(stream: IO[str]) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


class Silence:
    """Shows nothing."""

    def __call__(self, event: Event) -> None:
        pass

    def finish(self, run: Run) -> None:
        pass


@dataclass
class Pace:
    """How fast a task goes, and how long it will take."""

    title: str
    rows: int
    done: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def update(self, event: TaskProgress) -> None:
        self.done, self.tokens, self.seconds = event.rows, event.tokens, event.seconds

    @property
    def speed(self) -> str:
        """`4,100 tokens/s`; nothing before the first token."""
        if not self.tokens or self.seconds <= 0:
            return ""
        return f"{self.tokens / self.seconds:,.0f} tokens/s"

    @property
    def left(self) -> str:
        """The time left at the pace so far."""
        if not self.done or self.seconds <= 0 or self.done >= self.rows:
            return ""
        return f"{span(self.seconds * (self.rows - self.done) / self.done)} left"


class Watching:
    """Remembers what the summary needs, whatever is shown meanwhile."""

    def __init__(self) -> None:
        self.paces: dict[str, Pace] = {}
        self.notes: list[str] = []
        self.store = ""

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self.store = event.store
            case TaskStarted():
                self.paces[event.task] = Pace(event.title, event.rows)
                self.started(event)
            case TaskProgress() if event.task in self.paces:
                self.paces[event.task].update(event)
                self.moved(event.task, self.paces[event.task])
            case TaskDone() if event.task in self.paces:
                self.ended(event, self.paces[event.task])
            case ModelLoaded():
                self.say(model_text(event))
            case Warned():
                self.warned(event)
            case TaskProgress() | TaskDone() | RowsDropped() | RunDone():
                pass

    def warned(self, event: Warned) -> None:
        if event.code == NOTE:
            self.notes.append(event.text)
            self.say(f"note: {event.text}")
        else:
            self.say(f"warning[{event.code}]: {event.text}")

    def finish(self, run: Run) -> None:
        self.close()
        print(summary(run, self.store, self.notes))

    def close(self) -> None: ...
    def started(self, event: TaskStarted) -> None: ...
    def moved(self, task: str, pace: Pace) -> None: ...
    def ended(self, event: TaskDone, pace: Pace) -> None: ...
    def say(self, text: str) -> None: ...


class Lines(Watching):
    """Plain lines: a task's start, its progress now and then, its end."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__()
        self.stream = stream
        self.last: dict[str, float] = {}

    def started(self, event: TaskStarted) -> None:
        self.say(f"{event.title}: {todo_text(event)}")

    def moved(self, task: str, pace: Pace) -> None:
        if pace.seconds - self.last.get(task, 0.0) < EVERY:
            return
        self.last[task] = pace.seconds
        facts = [f"{pace.done:,} of {pace.rows:,} rows", pace.speed, pace.left]
        self.say(f"{pace.title}: {', '.join(fact for fact in facts if fact)}")

    def ended(self, event: TaskDone, pace: Pace) -> None:
        if event.rows:
            self.say(f"{pace.title}: {done_text(event)}")

    def say(self, text: str) -> None:
        print(text, file=self.stream, flush=True)


class Bars(Watching):
    """A bar for each task that computes something."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress
        self.bars: dict[str, TaskID] = {}

    def started(self, event: TaskStarted) -> None:
        if not event.rows:
            self.say(f"{event.title}: {todo_text(event)}")
            return
        self.bars[event.task] = self.progress.add_task(event.title, total=event.rows, speed="", left="")

    def moved(self, task: str, pace: Pace) -> None:
        if task in self.bars:
            self.progress.update(self.bars[task], completed=pace.done, speed=pace.speed, left=pace.left)

    def ended(self, event: TaskDone, pace: Pace) -> None:
        if event.task in self.bars:
            self.progress.remove_task(self.bars.pop(event.task))
            self.say(f"{pace.title}: {done_text(event)}")

    def close(self) -> None:
        self.progress.stop()

    def say(self, text: str) -> None:
        self.progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


def todo_text(event: TaskStarted) -> str:
    """`9,129 rows to do, 100 stored`."""
    if not event.rows:
        return f"{event.cached:,} rows, all from the store"
    return f"{event.rows:,} rows to do" + (f", {event.cached:,} stored" if event.cached else "")


def done_text(event: TaskDone) -> str:
    """`9,129 rows in 3 min 12 s, 4,100 tokens/s, 2 without an answer`."""
    facts = [f"{event.rows:,} rows in {span(event.seconds)}"]
    if event.tokens and event.seconds > 0:
        facts.append(f"{event.tokens / event.seconds:,.0f} tokens/s")
    if event.failed:
        facts.append(f"{event.failed:,} without an answer")
    return ", ".join(facts)


def model_text(event: ModelLoaded) -> str:
    return f"{event.label} loaded in {span(event.seconds)}: {event.dtype} on {event.device}"


def bars(console: Console | None = None) -> Progress:
    """Bars, on the standard error unless told otherwise: title, bar, rows, tokens a second, time left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
    from rich.table import Column

    def fixed() -> Column:
        return Column(no_wrap=True)

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
        BarColumn(bar_width=12, table_column=fixed()),
        MofNCompleteColumn(table_column=fixed()),
        TextColumn("rows", table_column=fixed()),
        TextColumn("{task.fields[speed]}", markup=False, table_column=fixed()),
        TextColumn("{task.fields[left]}", markup=False, table_column=fixed()),
        console=console or Console(stderr=True),
        transient=True,
        expand=True,
    )
