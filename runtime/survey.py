"""Looks ahead: what a plan would do on this data, with this store, before any of it is done.

Steps that need no model are carried out; sweeps are compared with the store, row by row; tokens are counted on a
seeded sample; seconds come from the last run of the model on this machine, or from a pilot of 64 rows, whose
answers are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ..compiler.check import Checked
from ..compiler.core import Algebra
from ..compiler.cost import Estimate, Rows, rows_after
from ..compiler.explain import Stage, graph_dot, graph_text, plan_json, plan_text, rules_text, task_key
from ..compiler.lower import lower
from ..compiler.op import Evaluate, Train
from ..compiler.plan import Ask, Fit, Pick, Plan, Reduce, Scan, Sweep, Task, Write
from ..compiler.wants import Continued, Perturbed, View
from .events import ignore
from .execute import Execution
from .fitting import KIND, fit_key
from .run import Texts, compile_recipes, execution, model_notes
from .settings import Settings
from .sources import ModelSource
from .sweeping import ENOUGH_ROWS, SweepRun, passes
from .world import World

PILOT = ENOUGH_ROWS
"""Rows of the sample whose tokens are counted and, with a pilot, run."""


@dataclass(frozen=True)
class Explanation:
    """What recipes will do: a text to print, the plan, and the estimates behind it."""

    text: str
    plan: Plan
    estimates: dict[str, Estimate]

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(self.text)}</pre>"


def explain(
    texts: Texts,
    settings: Settings,
    *,
    stage: Stage = "plan",
    why: bool = False,
    format: str = "text",
    pilot: bool = True,
) -> Explanation:
    """What the recipes will do, without doing it. Raises what `execute` would raise before its first sweep."""
    world = World(settings)
    checked = compile_recipes(texts, settings, world)
    plan = lower(checked.graph, rules=settings.rules)
    estimates: dict[str, Estimate] = {}
    if stage == "plan" and (settings.data is not None or _loads(plan)):
        estimates = Survey(execution(plan, settings, world, ignore), pilot).estimates()
    return Explanation(rendered(checked, plan, estimates, world, stage, why, format), plan, estimates)


def _loads(plan: Plan) -> bool:
    """Whether every dataset that the plan reads is named in the recipes themselves."""
    scans = [plan.graph[task.node].op for task in plan.tasks if isinstance(task, Scan)]
    return bool(scans) and all(getattr(op, "source", "") for op in scans)


def rendered(
    checked: Checked,
    plan: Plan,
    estimates: dict[str, Estimate],
    world: World,
    stage: Stage,
    why: bool,
    format: str,
) -> str:
    """One stage in one form."""
    if format == "dot":
        return graph_dot(checked.graph if stage in ("recipe", "graph") else plan.graph)
    if format == "json":
        return plan_json(plan, estimates)
    match stage:
        case "recipe":
            from ..dsl.format import format_recipe

            return "\n".join(format_recipe(recipe).rstrip() for recipe in checked.recipes)
        case "graph":
            return graph_text(checked.graph)
        case "rules":
            return f"{rules_text(plan, why=why)}\n\n{graph_text(plan.graph)}"
        case "plan":
            return plan_text(plan, estimates, why=why, notes=tuple(model_notes(plan, world)))


class Survey:
    """Walks a plan as far as it can without a model pass."""

    def __init__(self, run: Execution, pilot: bool):
        self.run, self.pilot = run, pilot
        self.plan = run.plan
        self.found: dict[str, Estimate] = {}
        self.rows: dict[str, Rows] = {}
        self.unready: set[str] = set()
        """Sweeps and models whose answers are not all there, and what depends on them."""

    def estimates(self) -> dict[str, Estimate]:
        """What every task takes."""
        import tempfile

        with tempfile.TemporaryDirectory(prefix="selrun-") as spool:
            self.run.spool = Path(spool)
            for task in self.plan.tasks:
                self.found[task_key(task)] = self.task(task)
        return self.found

    def task(self, task: Task) -> Estimate:
        match task:
            case Scan():
                self.run.scan(task.node)
                return self.known(task.node)
            case Sweep():
                return self.sweep(task)
            case Fit():
                return self.fit(task)
            case Write():
                node = self.plan.graph[task.node]
                return self.passed_on(task.node, node.inputs[0])
            case Reduce() | Pick():
                return self.step(task)

    def known(self, key: str) -> Estimate:
        self.rows[key] = Rows(self.run.frames[key].height)
        return Estimate(self.rows[key])

    def passed_on(self, key: str, source: str) -> Estimate:
        """A step that leaves the rows as they are."""
        if source in self.run.frames:
            self.run.frames[key] = self.run.frames[source]
        self.rows[key] = self.rows[source]
        return Estimate(self.rows[key])

    def step(self, task: Reduce | Pick) -> Estimate:
        """Carried out where all is known, else guessed from its parameters."""
        node = self.plan.graph[task.node]
        if isinstance(node.op, Evaluate):
            self.unready |= {task.node} if node.inputs[0] in self.unready else set()
            return self.passed_on(task.node, node.inputs[0])
        if any(need in self.unready for need in task.needs):
            self.unready.add(task.node)
            other = self.rows.get(node.op.other.key) if isinstance(node.op, Algebra) else None
            self.rows[task.node] = rows_after(node, self.rows[node.inputs[0]], other)
            return Estimate(self.rows[task.node])
        self.run.task(task)
        return self.known(task.node)

    def sweep(self, task: Sweep) -> Estimate:
        rows = self.rows[task.rows]
        waiting = any(need in self.unready for need in (task.model, *task.waits, *task.beside))
        if task.rows not in self.run.frames or waiting:
            self.unready.add(task.id)
            return self.unseen(task, rows)
        frame = self.run.shown(task)
        source = self.run.model(task.model)
        lacking = list(self.sweep_run(task, source).missing(frame))
        todo = sum(part.height for _, part in lacking)
        if not todo:
            return Estimate(rows, 0, 0, 0.0)
        self.unready.add(task.id)
        if not task.forwards:
            return Estimate(rows, todo, 0, 0.0)
        tokens = sum(self.tokens(task.view, task.model, part) for _, part in lacking)
        tokens += todo * self.tokens_beside(task) + self.tokens_of_copies(task, lacking)
        return Estimate(rows, todo, tokens, over(tokens, self.speed(task, source, frame)))

    def unseen(self, task: Sweep, rows: Rows) -> Estimate:
        """A sweep whose rows or model do not exist yet; a model still to be trained is as fast as its base."""
        frame = self.run.frames.get(task.rows)
        base = self.base_of(task.model)
        if frame is None or base is None:
            return Estimate(rows, rows.count, note="depends on scores that do not exist yet")
        tokens = self.tokens(task.view, task.model, frame)
        return Estimate(rows, rows.count, tokens, over(tokens, self.speed(task, base, frame)))

    def base_of(self, key: str) -> ModelSource | None:
        """The model itself, or the one it is trained from; their tokens and speed are the same."""
        op = self.plan.graph[key].op
        if isinstance(op, Train):
            return self.base_of(op.spec().base.key)
        return self.run.model(key)

    def tokens(self, view: View, model: str, frame: pl.DataFrame) -> int:
        """Tokens of the rows, from a seeded sample of 64."""
        from .models import describe, load_tokenizer
        from .tokens import encode

        sample = frame.sample(min(PILOT, frame.height), seed=0)
        base = self.base_of(model)
        if base is None or sample.is_empty():
            return 0
        sequences = encode(view, sample, load_tokenizer(base.target), describe(base.target).context)
        return round(int(sequences.offsets[-1]) / sample.height * frame.height)

    def tokens_beside(self, task: Sweep) -> int:
        """Tokens that are read after each row."""
        wants = [ask.want for ask in task.asks if isinstance(ask.want, Continued)]
        return sum(self.tokens(w.view, task.model, self.run.frames[w.anchors.key]) for w in wants)

    def tokens_of_copies(self, task: Sweep, lacking: Sequence[tuple[tuple[Ask, ...], pl.DataFrame]]) -> int:
        """Tokens of the perturbed copies of rows."""
        return sum(
            ask.want.copies * sum(self.tokens(view, task.model, part) for view in (task.view, ask.want.alone))
            for asks, part in lacking
            for ask in asks
            if isinstance(ask.want, Perturbed)
        )

    def speed(self, task: Sweep, source: ModelSource, frame: pl.DataFrame) -> float | None:
        """Tokens a second: of the last run on this machine, or of a pilot."""
        key = self.run.speed_key(source)
        known = self.run.store.memo("speed", key)
        if isinstance(known, float) or not self.pilot:
            return known
        lacking = pl.concat(
            [frame.clear(), *(part for _, part in self.sweep_run(task, source).missing(frame))]
        )
        sample = lacking.sample(min(PILOT, lacking.height), seed=0)
        piloted = self.piloted(task, source, sample)
        if piloted and sample.height >= ENOUGH_ROWS:
            self.run.store.remember("speed", key, piloted)
        return piloted

    def piloted(self, task: Sweep, source: ModelSource, sample: pl.DataFrame) -> float | None:
        """Tokens a second of 64 rows, the first half of them to warm up; their answers stay in the store."""
        for rows in (sample[: sample.height // 2], sample[sample.height // 2 :]):
            run = self.sweep_run(task, source)
            for asks, part in run.missing(rows):
                for view, those in passes(task.view, asks):
                    run.run(view, those, part)
        return run.tokens / run.seconds if run.tokens and run.seconds else None

    def sweep_run(self, task: Sweep, source: ModelSource) -> SweepRun:
        return self.run.sweep_run(task, source, ignore_progress)

    def fit(self, task: Fit) -> Estimate:
        node = self.plan.graph[task.node]
        assert isinstance(node.op, Train)
        source = node.inputs[0]
        if any(need in self.unready for need in task.needs) or source not in self.run.frames:
            self.unready.add(task.node)
            return Estimate(rows_after(node, self.rows[source]), 1, note="its rows are not chosen yet")
        frame = self.run.frames[source]
        chosen = frame[node.op.choose(self.run.answers(node, frame))]
        spec = node.op.spec()
        key = fit_key(spec, self.run.model(spec.base.key), chosen["@key"], self.run.dtype)
        rows = Rows(chosen.height)
        folder = self.run.store.artefact(KIND, key)
        if folder is not None:
            self.run.models[task.node] = ModelSource(str(folder), f"fit-{key}", node.title)
            return Estimate(rows, 0)
        self.unready.add(task.node)
        tokens = round(self.tokens(spec.view, task.node, chosen) * spec.epochs)
        speed = self.run.store.memo("training speed", self.run.speed_key(self.run.model(spec.base.key)))
        return Estimate(rows, chosen.height, tokens, over(tokens, speed), note=self.retrained(node.title))

    def retrained(self, title: str) -> str:
        """Whether the store holds the same step trained on other rows."""
        others = [a for a in self.run.store.artefacts.all(KIND) if a.meta.get("title") == title]
        if not others:
            return ""
        before = others[-1].meta.get("rows", 0)
        return f"its sample changed: trained before on {before:,} other rows, so all are scored again"


def over(tokens: int, speed: float | None) -> float | None:
    """Seconds for the tokens, where the speed is known."""
    return tokens / speed if speed else None


def ignore_progress(rows: int, tokens: int, seconds: float) -> None:
    """Nothing."""
