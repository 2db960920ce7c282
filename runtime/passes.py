"""What identifies a model pass: the fields that decide its answers, and the key made of them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..compiler.values import Data


@dataclass(frozen=True, slots=True)
class PassMeta:
    """The named fields of one pass; all but `label` decide the answers and so the key."""

    model: str
    """Revision or weights hash, or the key of the node that trains it; for an API its host and model name."""
    tokenizer: str
    view: str
    """`canonical(view)`: what the model reads of a row."""
    want: str
    """`canonical(want)`: what is asked of it."""
    dtype: str
    version: int
    rows: str = "each"
    """`each` row, or what stands beside each row."""
    label: str = field(default="", compare=False)
    """How the user names the model; for reading only."""


def pass_key(meta: PassMeta) -> str:
    """The key under which the answers of the pass are stored: 32 hex characters."""
    return hashlib.sha256(canonical(meta).encode()).hexdigest()[:32]


def canonical(value: object) -> str:
    """One text per value: the same for equal values, in every process and on every machine."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        compared = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value) if f.compare}
        return {"is": type(value).__name__, **compared}
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Data():
            return value.key
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case set() | frozenset():
            return sorted(map(_plain, value))
        case Iterable():
            return [_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no canonical text")


@dataclass(frozen=True, slots=True)
class Difference:
    """One field in which a wanted pass differs from a stored one."""

    field: str
    wanted: str
    stored: str


def differences(wanted: PassMeta, stored: PassMeta) -> Iterator[Difference]:
    """Every field that differs, in the order of the fields, down to the parameter inside a view or want."""
    for part in dataclasses.fields(PassMeta):
        if part.compare:
            ours, theirs = getattr(wanted, part.name), getattr(stored, part.name)
            yield from _differ(part.name, _structure(ours), _structure(theirs))


def _structure(value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith(("{", "[")):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _differ(name: str, wanted: Any, stored: Any) -> Iterator[Difference]:
    if wanted == stored:
        return
    if isinstance(wanted, dict) and isinstance(stored, dict) and wanted.get("is") == stored.get("is"):
        for key in {**wanted, **stored}:
            yield from _differ(f"{name}.{key}", wanted.get(key), stored.get(key))
        return
    yield Difference(name, readable(wanted), readable(stored))


def readable(value: object) -> str:
    """A view, want or field as a person writes it: `Logprobs(span=response)`."""
    match _structure(value):
        case {"is": str(kind), **rest} if "name" not in rest:
            shown = ", ".join(f"{key}={readable(item)}" for key, item in rest.items() if item is not None)
            return f"{kind}({shown})" if shown else kind
        case list(items):
            return "+".join(readable(item) for item in items)
        case str(text):
            return text if len(text) <= 40 else f"{text[:37]}…"
        case other:
            return str(other)


def stored_text(meta: PassMeta) -> str:
    """The fields as they are kept beside the segments."""
    return json.dumps(dataclasses.asdict(meta), indent=1, ensure_ascii=False)


def from_stored(text: str) -> PassMeta:
    """The fields read back from `stored_text`; ValueError or TypeError where they are not whole."""
    return PassMeta(**json.loads(text))
