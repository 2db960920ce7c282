"""What `selrun cache` prints: what the store holds, why it does not answer, and what was removed from it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from ..errors import StoreError
from .artefacts import Artefact
from .passes import Difference, PassMeta, differences, pass_key, readable
from .store import PassInfo, Store

SHOWN = 12
"""Characters of a key that are printed and that suffice to name a pass."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A pass that a recipe asks for, and the rows it asks it of."""

    title: str
    meta: PassMeta
    keys: pl.Series


def list_text(store: Store) -> str:
    """The passes and artefacts of the store, a line each, the most recently used first."""
    passes, artefacts = store.passes(), store.artefacts.all()
    if not passes and not artefacts:
        return f"the store at {store.root} is empty"
    total = sum(each.bytes for each in [*passes, *artefacts])
    head = f"{store.root}: {_count(passes, 'pass', 'passes')}, {_count(artefacts, 'artefact', 'artefacts')}"
    rows = [_pass_cells(info) for info in passes]
    made = [_artefact_cells(each) for each in artefacts]
    return "\n".join([f"{head}, {size_text(total)}", *_table(rows), *_table(made)])


def why_text(store: Store, wanted: Iterable[Wanted]) -> str:
    """For each wanted pass how many rows are stored, and what keeps the others from being found."""
    stored = store.passes()
    return "\n".join(line for each in wanted for line in _why(store, each, stored))


def verify_text(store: Store) -> str:
    """What reading every byte found; what is damaged is set aside and computed again when it is needed."""
    damaged = store.verify()
    if not damaged:
        held = sum(info.segments for info in store.passes()) + len(store.artefacts.all())
        return f"{held:,} segments and artefacts read, none damaged"
    lines = [f"  {path.relative_to(store.root)}" for path in damaged]
    return "\n".join(
        [f"{len(damaged)} damaged and set aside; the next run that needs them makes them again", *lines]
    )


def prune(
    store: Store,
    *,
    older_than: timedelta | None = None,
    passkey: str | None = None,
    everything: bool = False,
) -> str:
    """What was removed: leftovers of killed runs always, and the passes and artefacts that are named.

    `older_than` counts from the last use of a pass and from the making of an artefact; `passkey` is the
    beginning of one pass's key.
    """
    before = time.time() - older_than.total_seconds() if older_than else None
    passes = [info for info in store.passes() if everything or _is_older(info.used, before)]
    artefacts = [each for each in store.artefacts.all() if everything or _is_older(each.made, before)]
    if passkey is not None:
        passes.append(find_pass(store, passkey))
    freed = sum(store.remove(info.passkey) for info in passes)
    freed += sum(store.artefacts.remove(each.kind, each.key) for each in artefacts)
    freed += store.sweep()
    gone = f"{_count(passes, 'pass', 'passes')} and {_count(artefacts, 'artefact', 'artefacts')} removed"
    return f"{gone}, {size_text(freed)} freed"


def find_pass(store: Store, prefix: str) -> PassInfo:
    """The one stored pass whose key begins so."""
    found = [info for info in store.passes() if prefix and info.passkey.startswith(prefix)]
    if len(found) != 1:
        raise StoreError(
            "E614",
            f"{len(found) or 'no'} stored {'passes begin' if found else 'pass begins'} with {prefix!r}",
            help="list the keys: selrun cache list",
        )
    return found[0]


def age(text: str) -> timedelta:
    """The span of time that `30d`, `12h` or `45m` says."""
    units = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
    if match := re.fullmatch(r"(\d+)([mhdw])", text.strip()):
        return timedelta(**{units[match[2]]: int(match[1])})
    raise StoreError("E615", f"cannot read {text!r} as an age", help="write a number and m, h, d or w: 30d")


def _why(store: Store, wanted: Wanted, stored: Sequence[PassInfo]) -> list[str]:
    missing, rows = len(store.missing(pass_key(wanted.meta), wanted.keys)), wanted.keys.n_unique()
    if not missing:
        return [f"{wanted.title}: all {rows:,} rows stored"]
    if any(info.passkey == pass_key(wanted.meta) for info in stored):
        why = "this pass is stored, but not for rows with their content"
        return [f"{wanted.title}: {missing:,} of {rows:,} rows not stored", f"  {why}"]
    return [f"{wanted.title}: none of {rows:,} rows stored", *_nearest(wanted.meta, stored)]


def _nearest(wanted: PassMeta, stored: Sequence[PassInfo]) -> list[str]:
    candidates = [(list(differences(wanted, info.meta)), info) for info in stored if info.meta]
    if not candidates:
        return ["  the store holds no pass yet"]
    found, nearest = min(candidates, key=lambda pair: len(pair[0]))
    others = f" ({len(found) - 1} more below)" if len(found) > 1 else ""
    head = f"  nearest stored pass {nearest.passkey[:SHOWN]} differs in {found[0].field}{others}"
    return [head, *(_difference_line(each) for each in found)]


def _difference_line(each: Difference) -> str:
    return f"    {each.field}: {each.wanted!r} wanted, {each.stored!r} stored"


def _pass_cells(info: PassInfo) -> list[str]:
    what = [info.meta.label or info.meta.model[:SHOWN], readable(info.meta.want)] if info.meta else ["?", "?"]
    shown = [_parts(info.meta.view), info.meta.dtype] if info.meta else ["?", "?"]
    return [
        info.passkey[:SHOWN],
        *what,
        *shown,
        f"{info.rows:,} rows",
        size_text(info.bytes),
        _ago(info.used),
    ]


def _parts(view: str) -> str:
    try:
        found = json.loads(view)
    except ValueError:
        return readable(view)
    return "+".join(found["parts"]) if isinstance(found, dict) and found.get("parts") else readable(view)


def _artefact_cells(each: Artefact) -> list[str]:
    label = str(each.meta.get("label", ""))
    return [each.key[:SHOWN], each.kind, label, size_text(each.bytes), _ago(each.made)]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def size_text(count: float) -> str:
    """A number of bytes as people read it: `21 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _ago(moment: float) -> str:
    seconds = max(0.0, time.time() - moment)
    for length, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' * (count > 1)} ago"
    return "just now"


def _is_older(moment: float, before: float | None) -> bool:
    return before is not None and moment < before


def _count(items: Sequence[object], one: str, many: str) -> str:
    return f"{len(items):,} {one if len(items) == 1 else many}"
