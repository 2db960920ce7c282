"""What a run writes down beside its output, and the comparison that `--locked` makes with it."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from .durable import write_whole
from .history import steps_of

if TYPE_CHECKING:
    from .execute import Execution
    from .settings import Settings

FORMAT = 1
LIBRARIES = (
    "selrun",
    "torch",
    "transformers",
    "tokenizers",
    "polars",
    "scikit-learn",
    "peft",
    "sentence-transformers",
)
LOCKED = ("recipe", "parameters", "seed", "dtype", "data", "models", "plan")
"""What `--locked` compares."""


def manifest_path(output: Path) -> Path:
    """Where the manifest of an output lies: beside it."""
    return output.with_name(output.name + ".manifest.json")


def history_path(output: Path) -> Path:
    """Where the history of an output lies: beside it."""
    return output.with_name(output.name + ".history.parquet")


def fixed_facts(
    run: Execution, name: str, text: str, parameters: Mapping[str, str], settings: Settings
) -> dict[str, Any]:
    """What determines the result, known before any model runs."""
    return {
        "recipe": {"name": name, "text": text},
        "parameters": dict(parameters),
        "seed": settings.seed,
        "dtype": run.dtype,
        "data": [
            {"source": source_name(run, key), "rows": rows.frame.height, "fingerprint": rows.fingerprint}
            for key, rows in run.inputs.items()
        ],
        "models": identities(run),
        "plan": plan_key(run),
    }


def source_name(run: Execution, key: str) -> str:
    source = getattr(run.plan.graph[key].op, "source", "")
    return source or str(run.world.settings.source)


def identities(run: Execution) -> list[dict[str, str]]:
    """The models that the recipe names, and what identifies each."""
    from ..compiler.core import Pretrained

    found = []
    for key, node in run.plan.graph.nodes.items():
        if isinstance(node.op, Pretrained):
            source = run.model(key)
            found.append({"label": node.title, "target": source.target, "identity": source.identity})
    return found


def plan_key(run: Execution) -> str:
    """A hash of every operation of the plan, their versions and parameters."""
    keys = "\n".join(sorted(run.plan.graph.nodes))
    return hashlib.sha256(keys.encode()).hexdigest()[:16]


def run_facts(run: Execution, output: str, seconds: float) -> dict[str, Any]:
    """What the run did to reach an output."""
    return {
        "steps": step_facts(run, output),
        "sweeps": [{name: getattr(facts, name) for name in facts.__slots__} for facts in run.sweeps.values()],
        "trained": [{"title": run.plan.graph[key].title, **facts} for key, facts in run.fits.items()],
        "skipped": [
            {"source": bad.source, "line": bad.line, "reason": bad.reason}
            for rows in run.inputs.values()
            for bad in rows.skipped
        ],
        "seconds": round(seconds, 3),
        "dollars": 0.0,
        "device": run.device,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
    }


def step_facts(run: Execution, output: str) -> list[dict[str, Any]]:
    """What each step on the way to an output did to the rows; `compare` reads rows to compare others with."""
    origins = run.plan.graph.origins(output)
    return [
        {
            "number": number,
            "title": step.title,
            "kind": "compare" if step.kind == "read" and key not in origins else step.kind,
            "rows_in": step.rows_in,
            "rows_out": step.rows_out,
            "without_value": step.nulls,
            "seconds": round(step.seconds, 4),
            "notes": dict(step.notes),
        }
        for number, (key, step) in enumerate(steps_of(run, output), start=1)
    ]


def versions() -> dict[str, str]:
    """The versions of selrun, of Python and of the libraries that make the numbers."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def file_facts(path: Path, rows: int) -> dict[str, Any]:
    """An output as the manifest names it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return {"path": path.name, "rows": rows, "sha256": digest.hexdigest()}


def write_manifest(content: Mapping[str, Any], path: Path) -> None:
    write_whole(path, json.dumps(content, indent=2, ensure_ascii=False, default=str).encode())


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of an earlier run. Raises DataError E540."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise DataError(
            "E540", f"there is no manifest at `{path}`",
            help="run once without `--locked`, or name the output that the manifest lies beside",
        ) from None  # fmt: skip
    except (OSError, ValueError) as error:
        raise DataError(
            "E540", f"the manifest `{path}` cannot be read: {error}", help="run once without `--locked`"
        ) from None


def refuse_drift(before: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    """Stops a locked run that would not repeat the earlier one. Raises DataError E541."""
    drifts = [line for name in LOCKED for line in drift(name, before.get(name), now.get(name))]
    if drifts:
        raise DataError(
            "E541",
            f"the run differs from the locked one in {len(drifts)} place{'s' * (len(drifts) > 1)}",
            notes=drifts,
            help=(f"restore what changed since {path.name} was written", "or run without `--locked` to write it anew"),
        )  # fmt: skip


def drift(name: str, before: Any, now: Any) -> Iterator[str]:
    """What differs, in words; paths of files and models may differ."""
    if name == "data":
        before, now = _essence(before, "fingerprint"), _essence(now, "fingerprint")
    if name == "models":
        before, now = _essence(before, "identity"), _essence(now, "identity")
    if name == "recipe":
        before, now = (before or {}).get("text"), (now or {}).get("text")
    if before != now:
        yield f"{name}: {_short(before)} then, {_short(now)} now"


def _essence(entries: Any, field: str) -> list[Any]:
    return [entry.get(field) for entry in entries or ()]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:79] + "…"
