"""Fine-tuned models as artefacts: trained where the store lacks them, keyed by all that determines them."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from ..compiler.graph import Node
from ..compiler.op import Train, TrainSpec
from ..compiler.wants import View
from ..errors import ModelError
from .answers import KnownAnswers
from .events import TaskDone, TaskProgress, TaskStarted
from .passes import canonical
from .sources import ModelSource, forget

if TYPE_CHECKING:
    from .execute import Execution

VERSION = 1
"""Part of every key; raised when training gives other weights."""
KIND = "model"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained model and what is known of its training."""

    source: ModelSource
    facts: Mapping[str, Any]


def fit_key(spec: TrainSpec, base: ModelSource, rows: pl.Series, dtype: str) -> str:
    """What determines the weights: base, rows in their order, and every hyperparameter."""
    fields = {name: getattr(spec, name) for name in TrainSpec.__slots__ if name != "base"}
    fields["view"] = canonical(spec.view) if isinstance(spec.view, View) else spec.view
    content = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    text = canonical({**fields, "base": base.identity, "rows": content, "dtype": dtype, "version": VERSION})
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def fit(node: Node, frame: pl.DataFrame, known: KnownAnswers, base: ModelSource, run: Execution) -> Fitted:
    """The node's model, from the store or trained now."""
    assert isinstance(node.op, Train)
    spec = node.op.spec()
    chosen = frame[node.op.choose(known)]
    key = fit_key(spec, base, chosen["@key"], run.dtype)
    folder = run.store.artefact(KIND, key)
    cached = folder is not None
    started = time.perf_counter()
    run.listen(
        TaskStarted(key, node.title, 0 if cached else chosen.height, None, chosen.height if cached else 0)
    )
    if folder is None:
        folder = _publish(node, spec, base, chosen, key, run)
    seconds = time.perf_counter() - started
    run.listen(TaskDone(key, 0 if cached else chosen.height, 0, seconds, chosen.height if cached else 0))
    facts = {"key": key, "rows": chosen.height, "cached": cached, "seconds": seconds, "base": base.identity}
    return Fitted(ModelSource(str(folder), f"fit-{key}", node.title), facts)


def _publish(
    node: Node, spec: TrainSpec, base: ModelSource, chosen: pl.DataFrame, key: str, run: Execution
) -> Path:
    """Trains into the store; what a killed run left is continued."""
    from .train import train

    forget()
    scratch = run.store.root / "scratch" / key
    scratch.mkdir(parents=True, exist_ok=True)
    learnt: dict[str, Any] = {}
    started = time.perf_counter()

    def progress(done: int, steps: int, loss: float | None) -> None:
        rows = min(round(chosen.height * done / max(steps, 1)), chosen.height)
        run.listen(TaskProgress(key, rows, 0, time.perf_counter() - started))

    def fill(folder: Path) -> None:
        facts = train(
            spec, base.target, chosen, folder, device=run.device, dtype=run.dtype, progress=progress,
            name=node.title, scratch=scratch, base_adapter=base.adapter,
        )  # fmt: skip
        learnt.update(asdict(facts))

    meta = {"title": node.title, "base": base.identity, "base_label": base.label, "rows": chosen.height}
    folder = run.store.publish(KIND, key, fill, meta)
    shutil.rmtree(scratch, ignore_errors=True)
    if learnt.get("seconds") and learnt.get("tokens") and not learnt["resumed"]:
        run.store.remember("training speed", run.speed_key(base), learnt["tokens"] / learnt["seconds"])
    return folder


def adapted(base: ModelSource, node: Node) -> ModelSource:
    """A base with a trained adapter; identified by both."""
    from .adapters import adapter_identity

    path = Path(getattr(node.op, "path")).expanduser()  # noqa: B009
    if not path.is_dir():
        raise ModelError("E437", f"there is no adapter at `{path}`", help="name the folder that peft saved")
    if base.adapter is not None:
        raise ModelError(
            "E438", f"`{node.title}` puts an adapter on an adapter", help="merge the first one into its base"
        )
    return ModelSource(base.target, f"{base.identity}+{adapter_identity(path)}", node.title, str(path))
