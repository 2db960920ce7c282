"""Runs recipes from their texts to their outputs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..compiler.check import Checked
from ..compiler.core import Load, Save
from ..compiler.graph import Output
from ..compiler.lower import lower
from ..compiler.plan import Plan
from ..errors import DataError, RecipeError, StoreError
from .events import Event, Listener, RunDone, RunStarted, Warned, ignore, to_all
from .settings import Settings
from .world import World

if TYPE_CHECKING:
    import polars as pl

    from .execute import Execution

Texts = Sequence[tuple[str, str]]
"""Recipes as (name, text)."""


@dataclass(frozen=True)
class Run:
    """A finished run."""

    rows: pl.DataFrame
    """The result: the file's own columns and those that the recipe added."""
    ids: pl.Series
    """The ids of the rows of the result, as `selrun why` takes them."""
    manifest: Mapping[str, Any]
    outputs: tuple[Path, ...]
    """The files that hold results."""
    plan: Plan
    events: tuple[Event, ...]
    results: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    """Of several recipes the result of each, by name."""

    def __repr__(self) -> str:
        steps = self.manifest["steps"]
        read = steps[0]["rows_in"] if steps else 0
        return f"Run({read:,} rows in, {self.rows.height:,} kept)"

    def _repr_html_(self) -> str:
        """A notebook shows the steps and the first rows."""
        from html import escape

        lines = "".join(
            f"<tr><td>{escape(s['title'])}</td><td>{s['rows_in']:,}</td><td>{s['rows_out']:,}</td></tr>"
            for s in self.manifest["steps"]
        )
        head = "<tr><th>step</th><th>rows in</th><th>rows out</th></tr>"
        return f"<table>{head}{lines}</table>{self.rows.head(10)._repr_html_()}"


def compile_recipes(texts: Texts, settings: Settings, world: World | None = None) -> Checked:
    """The checked recipes; datasets and models are looked at. Raises RecipeError with every problem."""
    world = world or World(settings)
    if isinstance(settings.data, str | Path):
        world.rows(str(settings.data), None, None)
    checked = world.compile(texts)
    if checked.errors:
        raise RecipeError(checked.errors)
    return checked


def planned(texts: Texts, settings: Settings, world: World) -> tuple[Checked, Plan]:
    """The plan of recipes that have a result."""
    checked = compile_recipes(texts, settings, world)
    if not checked.graph.outputs:
        raise DataError(
            "E403", "the recipe has no chain, so it selects nothing",
            help="end it with a chain, such as `top 5% by len(response)`, or call a method: `cherry(gpt2)`",
        )  # fmt: skip
    return checked, lower(checked.graph, rules=settings.rules)


def execute(texts: Texts, settings: Settings, listen: Listener = ignore) -> Run:
    """Compiles and runs recipes together, and writes their outputs. Raises SelrunError of every kind."""
    events: list[Event] = []
    listen = to_all((events.append, listen))
    started = time.perf_counter()
    world = World(settings)
    checked, plan = planned(texts, settings, world)
    run = execution(plan, settings, world, listen)
    targets = output_targets(plan, settings)
    refuse_overwriting(plan, targets, settings)
    announce(texts, plan, run, checked, listen)
    run.run(before_sweeps=lambda: locked(run, texts, checked, settings, targets))
    return finished(run, texts, checked, settings, targets, events, started)


def execution(plan: Plan, settings: Settings, world: World, listen: Listener) -> Execution:
    """The plan with a store, an engine and a machine to run on."""
    # Threads that spin while they wait make a shared machine ten times slower; OpenMP reads this when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from .devices import device_of, dtype_of, engine_for
    from .execute import Execution
    from .store import Store, default_root

    device = device_of(settings.device)
    store = Store(settings.store or default_root(), listen)
    return Execution(
        plan=plan,
        store=store,
        engine=engine_for(device, settings.workers, listen),
        listen=listen,
        world=world,
        dtype=dtype_of(settings.dtype, device),
        device=device,
        write_to=lambda path: allowed_path(path, settings.allow_write),
    )


def announce(texts: Texts, plan: Plan, run: Execution, checked: Checked, listen: Listener) -> None:
    names = ", ".join(name for name, _ in texts)
    listen(RunStarted(names, None, len(plan.tasks), str(run.store.root)))
    for warning in checked.diagnostics:
        listen(Warned(warning.code, warning.headline))
    for note in model_notes(plan, run.world):
        listen(Warned("W430", note))


def model_notes(plan: Plan, world: World) -> list[str]:
    """What a user should know of the models of a plan before relying on them."""
    from ..compiler.core import Pretrained
    from ..compiler.facts import Card, CardOf

    cards = [
        world.answers.get(CardOf(n.op.target))
        for n in plan.graph.nodes.values()
        if isinstance(n.op, Pretrained)
    ]
    return list(dict.fromkeys(card.note for card in cards if isinstance(card, Card) and card.note))


# Outputs


def output_targets(plan: Plan, settings: Settings) -> dict[str, Path]:
    """Where each recipe's result goes, by recipe; a recipe that ends in `save` needs no other place."""
    last = [output for output in plan.graph.outputs if output.last]
    if not settings.write:
        return {}
    if settings.out is not None and len(last) > 1:
        return {o.recipe: local_path(settings.out) / f"{Path(o.recipe).stem}.jsonl" for o in last}
    if settings.out is not None:
        return {last[0].recipe: local_path(settings.out)}
    unsaved = [o for o in last if not isinstance(plan.graph[o.key].op, Save)]
    return {o.recipe: Path(f"{Path(o.recipe).stem}.selected.jsonl") for o in unsaved}


def local_path(path: str | Path) -> Path:
    """A place on this machine, with `~` as the user's home. Raises StoreError E601 where it is none."""
    if "://" in str(path) or "\0" in str(path):
        raise StoreError(
            "E601", f"cannot write `{path}`", notes=("it is no path of this machine",),
            help="name a file such as `chosen.jsonl`, and copy it where it is wanted",
        )  # fmt: skip
    return Path(os.path.expanduser(path))


def refuse_overwriting(plan: Plan, targets: Mapping[str, Path], settings: Settings) -> None:
    """Nothing that is read, and nothing that was just written, is written over. Raises DataError E411, E412."""
    ops = [node.op for node in plan.graph.nodes.values()]
    saves = [local_path(op.path) for op in ops if isinstance(op, Save)]
    read = {_real(op.source or settings.source or "") for op in ops if isinstance(op, Load)}
    seen: set[str] = set()
    for path in (*saves, *targets.values()):
        if _real(path) in read:
            raise DataError(
                "E412", f"`{path}` is read and would be written over",
                help="write to another file with `--out`, or with `save` in the recipe",
            )  # fmt: skip
        if _real(path) in seen:
            raise DataError(
                "E411", f"`{path}` would be written twice",
                help="give every `save` a file of its own, and run recipes of one name one by one",
            )  # fmt: skip
        seen.add(_real(path))


def _real(path: str | Path) -> str:
    return os.path.realpath(os.path.expanduser(path))


def allowed_path(path: str, anywhere: bool) -> Path:
    """Where a recipe may write: under the working folder, unless the user allows more. Raises DataError E408."""
    target = local_path(path)
    inside = Path(os.path.realpath(target)).is_relative_to(os.path.realpath(Path.cwd()))
    if inside or anywhere:
        return target
    raise DataError(
        "E408", f"the recipe would write to `{path}`, outside the working folder",
        help="add `--allow-write` if that is wanted, or save to a path under the working folder",
    )  # fmt: skip


def locked(
    run: Execution, texts: Texts, checked: Checked, settings: Settings, targets: Mapping[str, Path]
) -> None:
    """Refuses a locked run that would not repeat the one in the manifest."""
    from .manifest import fixed_facts, manifest_path, read_manifest, refuse_drift

    if not settings.locked:
        return
    for name, text in texts:
        if name in targets:
            path = manifest_path(targets[name])
            refuse_drift(
                read_manifest(path), fixed_facts(run, name, text, checked.parameters, settings), path
            )


def finished(
    run: Execution, texts: Texts, checked: Checked, settings: Settings, targets: Mapping[str, Path],
    events: list[Event], started: float,
) -> Run:  # fmt: skip
    """Writes results, manifests and histories, and tells that all is done."""
    from .manifest import FORMAT, fixed_facts, run_facts

    manifests, written = {}, []
    for output in run.plan.graph.outputs:
        facts = fixed_facts(run, output.recipe, dict(texts)[output.recipe], checked.parameters, settings)
        if output.last and output.recipe in targets:
            run.write(output.key, run.frames[output.key], targets[output.recipe])
        for key, path in places(run, output, targets):
            manifest = {"format": FORMAT, **facts, **run_facts(run, key, time.perf_counter() - started)}
            if path is not None:
                written.append(path)
                record(run, key, manifest, path)
            manifests[output.recipe] = manifest
    run.listen(done(run, written, started))
    results = {o.recipe: run.result(o.key) for o in run.plan.graph.outputs if o.last}
    last = next(o for o in reversed(run.plan.graph.outputs) if o.last)
    return Run(
        results[last.recipe], run.frames[last.key]["@id"], manifests[last.recipe], tuple(written), run.plan,
        tuple(events), results,
    )  # fmt: skip


def places(run: Execution, output: Output, targets: Mapping[str, Path]) -> Iterator[tuple[str, Path | None]]:
    """The datasets of a chain that were written, by key, with the file of each; the chain's result comes last."""
    saved = [key for key in run.plan.graph.lineage(output.key) if key in run.saved]
    for key in reversed(saved):
        yield key, run.saved[key]
    if output.last and output.recipe in targets:
        yield output.key, targets[output.recipe]
    elif output.key not in saved:
        yield output.key, None


def record(run: Execution, key: str, manifest: Mapping[str, Any], path: Path) -> None:
    """The manifest and the history beside one file."""
    from .history import history, write_history
    from .manifest import file_facts, history_path, manifest_path, write_manifest

    content = {**manifest, "output": file_facts(path, run.frames[key].height)}
    write_manifest(content, manifest_path(path))
    write_history(history(run, key), history_path(path))


def done(run: Execution, written: Sequence[Path], started: float) -> RunDone:
    last = next(o for o in reversed(run.plan.graph.outputs) if o.last)
    sweeps = [facts for facts in run.sweeps.values() if facts.rows]
    return RunDone(
        rows=sum(rows.frame.height for rows in run.inputs.values()),
        kept=run.frames[last.key].height,
        sweeps=len(sweeps),
        tokens=sum(facts.tokens for facts in sweeps),
        seconds=time.perf_counter() - started,
        outputs=tuple(str(path) for path in written),
    )
