"""Runs a plan task by task: rows flow from reading to writing, answers go through the store."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, assert_never

import polars as pl

from ..compiler import core
from ..compiler.explain import shown_text
from ..compiler.graph import Node
from ..compiler.op import Adds, Cluster, Evaluate, Picked, Request, Select, Train
from ..compiler.plan import Fit, Pick, Plan, Reduce, Scan, Sweep, Task, Write
from ..compiler.values import Data
from ..errors import DataError, SelrunError
from ..stdlib.select.tags import tag_sets
from .answers import KnownAnswers, evaluated, fulfilled, seed_of
from .beside import beside_of, settled, settled_sweep
from .culprit import OWN_ERRORS, failing_row
from .engine import Engine
from .events import Listener, RowsDropped, TaskDone, TaskProgress, TaskStarted, Warned
from .fitting import fit
from .labels import labelled
from .models import identity
from .passes import pass_key
from .rows import Layout, Rows, read_rows, write_rows
from .shots import with_shots
from .sources import Memory, ModelSource
from .store import Store
from .sweeping import ENOUGH_ROWS, SweepRun, dtype_of, meta_of, passes
from .world import World


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did to the rows; the manifest and `why` are made of these."""

    title: str
    kind: str
    rows_in: int
    rows_out: int
    seconds: float
    dropped: pl.DataFrame | None = None
    """Of the rows that went: `@id` and `reason`."""
    marks: pl.DataFrame | None = None
    """Of all rows before the step: `@id`, and what the step noted of each."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    nulls: int = 0
    """How many rows have no value in the column that the step added."""


@dataclass(frozen=True, slots=True)
class SweepFacts:
    """What one sweep cost."""

    title: str
    model: str
    rows: int
    tokens: int
    seconds: float
    cached: int
    failed: int


@dataclass
class Execution:
    """A plan under way, with everything it knows so far."""

    plan: Plan
    store: Store
    engine: Engine
    listen: Listener
    world: World
    """What has been read of files and models."""
    dtype: str
    device: str
    write_to: Callable[[str], Path] = Path
    """Where a path that a recipe names may be written; raises where it may not."""
    frames: dict[str, pl.DataFrame] = field(default_factory=dict)
    inputs: dict[str, Rows] = field(default_factory=dict)
    """What was read, by the key of the node that read it."""
    models: dict[str, ModelSource] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)
    sweeps: dict[str, SweepFacts] = field(default_factory=dict)
    saved: dict[str, Path] = field(default_factory=dict)
    fits: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    added: dict[str, pl.DataFrame] = field(default_factory=dict)
    """Of every step that added a plain column: `@id` and the column."""
    led: dict[str, pl.Series] = field(default_factory=dict)
    """Of every node that shows a row before each row: the keys of the rows so led."""
    done: set[str] = field(default_factory=set)

    def run(self, before_sweeps: Callable[[], None] = lambda: None) -> None:
        """Runs every task; `before_sweeps` is called once, before the first one that needs a model."""
        checked = False
        with ExitStack() as stack:
            self.spool = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="selrun-")))
            for task in self.plan.tasks:
                if not checked and isinstance(task, Sweep | Fit):
                    before_sweeps()
                    checked = True
                self.task(task)
                self.let_go(task)
        if not checked:
            before_sweeps()

    def let_go(self, task: Task) -> None:
        """Frees the rows that no later task reads; memory holds what is needed and no more."""
        self.done.add(task.id if isinstance(task, Sweep) else task.node)
        kept = {*self.saved, *(output.key for output in self.plan.graph.outputs)}
        waiting = {need for later in self.plan.tasks if _name(later) not in self.done for need in later.needs}
        for key in [k for k in self.frames if k not in kept and k not in waiting]:
            del self.frames[key]

    def task(self, task: Task) -> None:
        match task:
            case Scan():
                self.scan(task.node)
            case Sweep():
                self.sweep(task)
            case Reduce():
                self.reduce(task.node)
            case Pick():
                self.pick(task.node)
            case Fit():
                self.fit(task.node)
            case Write():
                self.save(task.node)
            case _:
                assert_never(task)

    # Reading and writing

    def scan(self, key: str) -> None:
        """Reads a dataset."""
        started = time.perf_counter()
        node = self.plan.graph[key]
        op = node.op
        assert isinstance(op, core.Load)
        rows = self.read(op)
        self.inputs[key] = rows
        self.frames[key] = rows.frame
        if rows.skipped:
            self.listen(RowsDropped(node.title, len(rows.skipped), "cannot be read"))
        self.note(key, node.title, "read", rows.frame.height + len(rows.skipped), rows.frame, started)

    def read(self, op: core.Load) -> Rows:
        source = op.source or self.world.settings.source
        if source is None:
            raise DataError(
                "E501", "the recipe has no input", help='add `--data FILE`, or begin with `from "FILE"`'
            )
        return self.world.rows(source, op.shape, op.split)

    def save(self, key: str) -> None:
        """Writes the rows at that point."""
        started = time.perf_counter()
        node = self.plan.graph[key]
        assert isinstance(node.op, core.Save)
        frame = self.frames[node.inputs[0]]
        target = self.write_to(node.op.path)
        self.write(key, frame, target, node.op.shape)
        self.frames[key] = frame
        self.saved[key] = target
        self.note(key, node.title, "save", frame.height, frame, started)

    def write(self, key: str, frame: pl.DataFrame, target: Path, shape: str | None = None) -> None:
        write_rows(frame, self.layout(key), target, shape=shape, scores=self.added_columns(key))

    def layout(self, key: str) -> Layout:
        """How the dataset's rows were written where they were read."""
        source = list(self.plan.graph.lineage(key))[-1]
        return self.inputs[source].layout

    def result(self, key: str) -> pl.DataFrame:
        """The dataset as a user sees it: the file's columns and those that the steps added."""
        return self.frames[key].select(pl.exclude("^@.*$"))

    def added_columns(self, key: str) -> list[str]:
        """The columns that the steps added, in order."""
        schema = self.plan.graph[key].schema
        assert schema is not None
        return [c.name for c in schema.columns if c.origin == "step" and not c.name.startswith("@")]

    # Rows and columns

    def reduce(self, key: str) -> None:
        """Computes a column or another set of the rows."""
        started = time.perf_counter()
        node = self.plan.graph[key]
        frame = self.frames[node.inputs[0]]
        result = self.reduced(node, frame)
        self.frames[key] = result
        nulls = result[node.op.name].null_count() if isinstance(node.op, Adds | core.Derive) else 0
        if isinstance(node.op, Adds | core.Derive) and not result.schema[node.op.name].is_nested():
            self.added[key] = result.select("@id", node.op.name)
        if nulls and nulls == frame.height:
            self.warn("W521", self.no_value(node, result))
        rows_in = result.height if _is_new(node) else frame.height
        dropped = _gone(frame, result, _reason(node)) if result.height < rows_in else None
        self.note(
            key,
            node.title,
            node.op.verb,
            rows_in,
            result,
            started,
            dropped=dropped,
            nulls=nulls,
            **self.lack(node, result, nulls),
            **self.report(node, result),
        )

    def report(self, node: Node, frame: pl.DataFrame) -> dict[str, Any]:
        """What `evaluate` notes."""
        if not isinstance(node.op, Evaluate):
            return {}
        with self.working(node):
            return {"notes": {"report": dict(node.op.report(self.answers(node, frame)))}}

    def lack(self, node: Node, frame: pl.DataFrame, nulls: int) -> dict[str, Any]:
        """What a step notes of the rows without a value."""
        marks = self.unanswered(node, frame) if nulls else None
        return (
            {"marks": marks, "notes": {"no value": _counts(marks["no value"])}} if marks is not None else {}
        )

    def no_value(self, node: Node, frame: pl.DataFrame) -> str:
        """That a step gave no row a value, and what most rows lack."""
        marks = self.unanswered(node, frame)
        why = f": {next(iter(_counts(marks['no value'])))}" if marks is not None else ""
        return f"`{node.title}` gave none of the {frame.height:,} rows a value{why}"

    def reduced(self, node: Node, frame: pl.DataFrame) -> pl.DataFrame:
        op = node.op
        match op:
            case core.Filter():
                return frame.filter(fulfilled(frame, op.condition))
            case core.Derive():
                return frame.with_columns(evaluated(frame, op.value).alias(op.name))
            case core.Sort():
                keyed = frame.with_columns(evaluated(frame, op.by).alias("@by"))
                ordered = keyed.sort("@by", descending=op.descending, nulls_last=True, maintain_order=True)
                return ordered.drop("@by")
            case core.Algebra():
                return algebra(frame, self.frames[op.other.key], op.operator)
            case core.Without():
                return frame.join(self.frames[op.other.key], on="@key", how="anti", maintain_order="left")
            case core.Join():
                return frame.join(self.frames[op.other.key], on="@key", how="semi", maintain_order="left")
            case core.Values():
                return as_rows(tag_sets(evaluated(frame, op.column), op.column.text))
            case Evaluate():
                return frame
            case Adds():
                return frame.with_columns(self.computed(node, frame).alias(op.name))
            case _:
                raise TypeError(f"`{node.title}` cannot be reduced")

    def computed(self, node: Node, frame: pl.DataFrame) -> pl.Series:
        """The column of an operation; what the operation raises names it."""
        assert isinstance(node.op, Adds)
        with self.working(node, frame):
            column = self.column(node, frame)
            if len(column) != frame.height:
                raise ValueError(f"it gave {len(column)} values for {frame.height} rows")
        return column

    @contextmanager
    def working(self, node: Node, frame: pl.DataFrame | None = None) -> Iterator[None]:
        """What the operation raises names it and the row, and what it warns of is told."""
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", UserWarning)
            try:
                yield
            except SelrunError:
                raise
            except OWN_ERRORS as error:
                raise _op_failed(node, error, self.culprit(node, frame)) from error
        for warning in told:
            if warning.category is UserWarning:
                self.warn("W520", f"`{node.title}`: {warning.message}")

    def culprit(self, node: Node, frame: pl.DataFrame | None) -> str | None:
        """The id of the row that the operation of a node fails on, where it is one row."""
        if frame is None or not isinstance(node.op, Adds):
            return None
        row = failing_row(node.op, self.answers(node, frame))
        return None if row is None else frame["@id"][row]

    def column(self, node: Node, frame: pl.DataFrame) -> pl.Series:
        """What the operation computes; clusters also of the last time."""
        assert isinstance(node.op, Adds)
        op, known = node.op, self.answers(node, frame)
        if not isinstance(op, Cluster):
            return op.reduce(known)
        passes = {name: self.pass_of(request) for name, request in op.requests().items()}
        return labelled(self.store, op, node.title, known, passes, lambda: op.reduce(known))

    def pick(self, key: str) -> None:
        """Chooses rows."""
        started = time.perf_counter()
        node = self.plan.graph[key]
        assert isinstance(node.op, Select)
        frame = self.frames[node.inputs[0]]
        with self.working(node):
            picked = node.op.pick(self.answers(node, frame))
        self.frames[key] = frame[picked.order]
        dropped = (
            frame.select("@id")
            .with_columns(picked.reasons.alias("reason"))
            .filter(pl.col("reason").is_not_null())
        )
        marks = _marks(frame, picked)
        self.note(
            key,
            node.title,
            "pick",
            frame.height,
            self.frames[key],
            started,
            dropped=dropped,
            marks=marks,
            notes=dict(picked.notes),
        )

    def note(
        self, key: str, title: str, kind: str, rows_in: int, after: pl.DataFrame, started: float, **facts: Any
    ) -> None:
        seconds = time.perf_counter() - started
        self.steps[key] = Step(title, kind, rows_in, after.height, seconds, **facts)
        if rows_in > after.height and kind != "read":
            self.listen(RowsDropped(title, rows_in - after.height, "dropped"))

    # Models and answers

    def model(self, key: str) -> ModelSource:
        """The model of a node: its files and its identity."""
        if key not in self.models:
            node = self.plan.graph[key]
            self.models[key] = self.described(node)
        return self.models[key]

    def described(self, node: Node) -> ModelSource:
        if isinstance(node.op, core.Pretrained):
            target = node.op.target
            return ModelSource(target, identity(target, Memory(self.store)), node.title)
        from .fitting import adapted

        base = next(r for r in node.op.references())
        return adapted(self.model(base.key), node)

    def answers(self, node: Node, frame: pl.DataFrame) -> KnownAnswers:
        """What an operation may ask of its rows and of the passes run for it."""
        requests = node.op.requests()

        def read(name: str) -> pl.Series:
            return self.answer(requests[name], self.keys(node, requests[name], frame))

        elsewhere = frozenset(name for name, request in requests.items() if request.of is not None)
        datasets = {
            data.key: self.frames[data.key] for data in node.op.references() if isinstance(data, Data)
        }
        return KnownAnswers(frame, seed_of(node.op), cache(read), lambda data: datasets[data.key], elsewhere)

    def keys(self, node: Node, request: Request, frame: pl.DataFrame) -> pl.Series:
        """The keys of the rows that a request of a node is about, as they were shown."""
        if request.of is not None:
            return self.frames[request.of.key]["@key"]
        return self.led[node.key] if request.shots else frame["@key"]

    def answer(self, request: Request, keys: pl.Series) -> pl.Series:
        """The stored answers, row by row; every row was answered by the sweeps before."""
        answers = self.stored(request, keys)["answer"]
        return answers.cast(dtype_of(request.want)) if answers.dtype == pl.Null else answers

    def pass_of(self, request: Request) -> str:
        """The key of the pass that answers a request."""
        want = settled(request.want, self.frames)
        return pass_key(meta_of(self.model(request.model.key), request.view, want, self.dtype))

    def stored(self, request: Request, keys: pl.Series) -> pl.DataFrame:
        """What the store holds for a request: `key`, `answer` and `problem` of every row."""
        return self.store.read(self.pass_of(request), keys)

    def unanswered(self, node: Node, frame: pl.DataFrame) -> pl.DataFrame | None:
        """Of the rows without a value: `@id`, and what kept the model from reading them."""
        requests = node.op.requests()
        if not requests or not isinstance(node.op, Adds):
            return None
        null = frame[node.op.name].is_null()
        lacking = frame.filter(null)
        problems = [
            self.stored(request, self.keys(node, request, frame).filter(null))["problem"]
            for request in requests.values()
            if request.of is None
        ]
        if not problems:
            return None
        reasons = pl.DataFrame({f"{at}": problem for at, problem in enumerate(problems)}).select(
            pl.coalesce(pl.all(), pl.lit("its answers give none")).alias("no value")
        )
        return lacking.select("@id").with_columns(reasons["no value"])

    def sweep(self, task: Sweep) -> None:
        """Runs the model on the rows that the store lacks."""
        frame = self.shown(task)
        source = self.model(task.model)
        run = self.sweep_run(task, source, self.progress(task.id))
        lacking = list(run.missing(frame))
        todo = sum(rows.height for _, rows in lacking)
        if todo:
            run.speed = self.store.memo("speed", self.speed_key(source))
        title = self.sweep_title(task)
        self.listen(TaskStarted(task.id, title, todo, None, frame.height - todo))
        for asks, rows in lacking:
            for view, those in passes(task.view, asks):
                run.run(view, those, rows)
        if run.tokens and run.seconds > 1 and todo >= ENOUGH_ROWS:
            self.store.remember("speed", self.speed_key(source), run.tokens / run.seconds)
        facts = SweepFacts(
            title, source.label, run.rows, run.tokens, run.seconds, frame.height - todo, run.failed
        )
        self.sweeps[task.id] = facts
        self.listen(TaskDone(task.id, run.rows, run.tokens, run.seconds, facts.cached, run.failed))

    def sweep_run(
        self, task: Sweep, source: ModelSource, progress: Callable[[int, int, float], None]
    ) -> SweepRun:
        """A sweep ready to run."""
        return SweepRun(
            settled_sweep(task, self.frames),
            source,
            self.dtype,
            self.store,
            self.engine,
            self.spool,
            progress,
            beside_of(task, self.frames),
        )

    def shown(self, task: Sweep) -> pl.DataFrame:
        """The rows that a sweep shows the model."""
        frame = self.frames[task.rows]
        if task.shots is None:
            return frame
        node = self.plan.graph[task.shots]
        with self.working(node):
            frame = with_shots(frame, node.op.shots(self.answers(node, frame)))
        self.led[node.key] = frame["@key"]
        return frame

    def speed_key(self, source: ModelSource) -> str:
        import torch

        return f"{source.identity} {self.dtype} {self.device} {torch.get_num_threads()}"

    def sweep_title(self, task: Sweep) -> str:
        titles = [self.plan.graph[key].title for key in task.for_nodes]
        return f"{', '.join(dict.fromkeys(titles))}: {shown_text(task.view, ' and ')}"

    def progress(self, task: str) -> Callable[[int, int, float], None]:
        return lambda rows, tokens, seconds: self.listen(TaskProgress(task, rows, tokens, seconds))

    def fit(self, key: str) -> None:
        """Trains a model, or takes it from the store."""
        node = self.plan.graph[key]
        assert isinstance(node.op, Train)
        frame = self.frames[node.inputs[0]]
        base = self.model(node.op.spec().base.key)
        fitted = fit(node, frame, self.answers(node, frame), base, self)
        self.models[key] = fitted.source
        self.fits[key] = fitted.facts

    def warn(self, code: str, text: str) -> None:
        self.listen(Warned(code, text))


def _is_new(node: Node) -> bool:
    """Whether the rows after a step are not some of those before."""
    united = isinstance(node.op, core.Algebra) and node.op.operator == "+"
    return united or isinstance(node.op, core.Values)


def as_rows(lists: Iterable[frozenset[str]]) -> pl.DataFrame:
    """The different texts of all lists in alphabetical order, each as the prompt of a row."""
    texts = sorted(frozenset().union(*lists))
    columns = {"instruction": texts, "output": [""] * len(texts)}
    return read_rows(pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))).frame


def _counts(reasons: pl.Series) -> dict[str, int]:
    """How often each reason occurs, the most frequent first."""
    return dict(reasons.value_counts(sort=True).rows())


def _name(task: Task) -> str:
    return task.id if isinstance(task, Sweep) else task.node


def algebra(left: pl.DataFrame, right: pl.DataFrame, operator: str) -> pl.DataFrame:
    """Two datasets as one, row by row; a row of both has the columns of both."""
    left, right = left.with_columns(_identity()), right.with_columns(_identity())
    if operator == "-":
        return left.join(right, on="@same", how="anti", maintain_order="left").drop("@same")
    more = [c for c in right.columns if c not in left.columns]
    joined = left.join(right.select("@same", *more), on="@same", how="left", maintain_order="left")
    if operator == "&":
        return joined.join(right, on="@same", how="semi", maintain_order="left").drop("@same")
    rest = right.join(left, on="@same", how="anti", maintain_order="left")
    return pl.concat([joined, rest], how="diagonal_relaxed").drop("@same")


def _identity() -> pl.Expr:
    """One text for the same row in two datasets: its content, and which of its equals it is."""
    copy = pl.col("@id").str.extract(r"-(\d+)$").fill_null("1")
    return (pl.col("@key") + "-" + copy).alias("@same")


def _gone(before: pl.DataFrame, after: pl.DataFrame, reason: str) -> pl.DataFrame:
    gone = before.select("@id").join(after.select("@id"), on="@id", how="anti", maintain_order="left")
    return gone.with_columns(pl.lit(reason).alias("reason"))


def _reason(node: Node) -> str:
    match node.op:
        case core.Filter(condition=condition):
            return f"`{condition.text}` is not true"
        case core.Without() | core.Algebra(operator="-"):
            return "the other dataset holds it"
        case _:
            return "the other dataset does not hold it"


def _marks(frame: pl.DataFrame, picked: Picked) -> pl.DataFrame | None:
    if not picked.marks:
        return None
    return frame.select("@id").with_columns(series.alias(name) for name, series in picked.marks.items())


def _op_failed(node: Node, error: Exception, row: str | None) -> SelrunError:
    where = f"{type(node.op).__module__}.{type(node.op).__name__}"
    at = f"; it fails on the row {row} by itself" if row else ""
    return DataError(
        "E530",
        f"`{node.title}` failed: {type(error).__name__}: {error}",
        notes=(f"raised in {where}{at}",),
        help="report it to the author of the operation; everything scored so far is in the store",
    )
