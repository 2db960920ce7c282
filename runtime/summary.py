"""What a finished run says of itself: rows and why they went, passes, time, and where everything is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .run import Run

WENT = {
    "from": "cannot be read",
    "input": "cannot be read",
    "filter": "the condition is not true",
    "dedup": "the same as another row, or too like it",
    "diversify": "not chosen",
    "sample": "not drawn",
    "without": "the other dataset holds them",
    "join": "the other dataset does not hold them",
}
"""Why rows go at a step, by its verb."""
LONGEST_TITLE = 60


def summary(run: Run, store: str = "", notes: Sequence[str] = ()) -> str:
    """The run in a few lines."""
    manifest = run.manifest
    blocks = [
        [headline(manifest["steps"], run.rows.height)],
        list(step_lines(manifest["steps"])),
        table([*model_lines(manifest), *place_lines(run, store), *(("note", note) for note in notes)]),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def headline(steps: Sequence[Mapping[str, Any]], kept: int) -> str:
    """`9,229 rows in, 461 kept (5.0 %)`."""
    read = sum(step["rows_in"] for step in steps if step["kind"] == "read")
    share = f" ({100 * kept / read:.1f} %)" if read else ""
    return f"{read:,} rows in, {kept:,} kept{share}"


def step_lines(steps: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line each: the step, the rows it left, and what became of the others."""
    width = max((len(shortened(step["title"])) for step in steps), default=0)
    digits = max((len(f"{step['rows_out']:,}") for step in steps), default=0)
    for step in steps:
        line = f"  {shortened(step['title']):<{width}}  {step['rows_out']:>{digits},}"
        yield f"{line}   {'; '.join(losses(step))}".rstrip()
        yield from report_lines(step.get("notes", {}).get("report", {}))


def report_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """What a step reports, a line for each value: `vendi  48.21 → 30.55`."""
    width = max(map(len, report), default=0)
    for name, value in report.items():
        compared = (
            [value.get(which) for which in ("before", "after")] if isinstance(value, Mapping) else [value]
        )
        shown = " → ".join("–" if one is None else number(one) for one in compared)
        yield f"    {name.replace('_', ' '):<{width}}  {shown}"


def losses(step: Mapping[str, Any]) -> Iterator[str]:
    """How many rows went at a step and why, and how many it could give no value."""
    gone = step["rows_in"] - step["rows_out"]
    if gone > 0:
        yield f"{gone:,} dropped: {reason(step)}"
    if step.get("without_value"):
        reasons = step.get("notes", {}).get("no value", {})
        listed = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
        yield f"{step['without_value']:,} without a value" + (f": {listed}" if listed else "")


def reason(step: Mapping[str, Any]) -> str:
    """Why rows went at a step, in a few words; `selrun why` knows it row by row."""
    verb, notes = step["title"].split(" ")[0], step.get("notes", {})
    if verb not in ("top", "bottom"):
        return WENT.get(verb, "not kept")
    side, threshold = "worse" if verb == "top" else "better", notes.get("threshold")
    words = [f"{side} than the last kept, {number(threshold)}"] if threshold is not None else ["not kept"]
    if quotas := notes.get("quotas"):
        places = sum(quota["places"] > 0 for quota in quotas)
        words = [f"no place left in their group; {places:,} of {len(quotas):,} groups have places"]
    if unscored := step["rows_in"] - notes.get("scored", step["rows_in"]):
        words.append(f"{unscored:,} with no value")
    return "; ".join(words)


def number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def model_lines(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What was trained and which passes were run, or came from the store."""
    for trained in manifest["trained"]:
        how = "from the store" if trained["cached"] else f"{span(trained['seconds'])}"
        yield "trained", f"{trained['title']} on {trained['rows']:,} rows, {how}"
    sweeps = manifest["sweeps"]
    if not sweeps:
        return
    run = [sweep for sweep in sweeps if sweep["rows"]]
    tokens, seconds = sum(s["tokens"] for s in run), sum(s["seconds"] for s in run)
    words = [f"{len(run)} run, {len(sweeps) - len(run)} from the store"]
    if run:
        rows = sum(sweep["rows"] for sweep in run)
        words.append(
            f"{rows:,} forward passes, {tokens:,} tokens, {tokens / max(seconds, 1e-9):,.0f} tokens/s"
        )
    if cached := sum(sweep["cached"] for sweep in sweeps):
        words.append(f"{cached:,} passes from the store")
    if failed := sum(sweep["failed"] for sweep in sweeps):
        words.append(f"{failed:,} {'row' if failed == 1 else 'rows'} without an answer")
    yield "sweeps", "; ".join(words)


def place_lines(run: Run, store: str) -> Iterator[tuple[str, str]]:
    """How long it took and where everything went."""
    from .manifest import history_path, manifest_path

    yield "time", span(run.manifest["seconds"])
    for path in run.outputs:
        yield "output", str(path)
        yield "manifest", str(manifest_path(path))
        yield "history", f"{history_path(path)}; ask it: selrun why ROW-ID --run {path}"
    if store:
        yield "store", at_home(store)


def table(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Names and values in two columns; a name that repeats is written once."""
    names = ["" if at and rows[at - 1][0] == name else name for at, (name, _) in enumerate(rows)]
    return [f"  {name:<8} {value}" for name, (_, value) in zip(names, rows, strict=True)]


def shortened(title: str) -> str:
    return title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 1]}…"


def at_home(path: str) -> str:
    """The path with the home folder as `~`."""
    try:
        return f"~/{Path(path).relative_to(Path.home())}"
    except ValueError:
        return path


def span(seconds: float) -> str:
    """A stretch of time as people read it: `48 s`, `3 min 12 s`, `2 h 05 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
