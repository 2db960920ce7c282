"""A claim of parity: what a method gives here, what its authors' code gave, and how far apart the two are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHARED = Path(__file__).resolve().parents[3] / "shared"


class Absent(Exception):
    """What a claim is compared with does not lie beside the repository."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Values or picks of one method, row by row; lists may be nested."""

    ours: Sequence[Any]
    """With `faithful = true`, where the method has it."""
    theirs: Sequence[Any]
    corrected: Sequence[Any] | None = None
    """By default, where that differs."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A method, where its authors' values come from, and how near ours must be."""

    method: str
    source: str
    tolerance: float | None
    """The greatest difference, relative to values above 1; `None`: equal picks or values."""
    compare: Callable[[], Compared]

    @property
    def name(self) -> str:
        return f"{self.method} {self.compare.__module__.rpartition('.')[2]}.{self.compare.__name__}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a claim stands."""

    error: float
    """The greatest difference; infinite where the picks, or the places of missing values, differ."""
    rows: int
    agreement: float | None
    """Of the corrected form with the faithful one: rank correlation of values, shared part of picks."""
    holds: bool


CLAIMS: list[Claim] = []


def claim(
    method: str, *, source: str, tolerance: float | None = None
) -> Callable[[Callable[[], Compared]], Callable[[], Compared]]:
    """Registers a function that compares a method with its authors' code."""

    def register(compare: Callable[[], Compared]) -> Callable[[], Compared]:
        CLAIMS.append(Claim(method, source, tolerance, compare))
        return compare

    return register


def golden(name: str) -> Path:
    """A file of reference outputs. Raises Absent."""
    return beside(f"golden/{name}")


def beside(name: str) -> Path:
    """A file or folder of the reference data. Raises Absent."""
    path = SHARED / name
    if not path.exists():
        raise Absent(f"{name} does not lie beside the repository")
    return path


def judged(one: Claim) -> Verdict:
    """The claim compared. Raises Absent."""
    compared = one.compare()
    ours, theirs = list(flat(compared.ours)), list(flat(compared.theirs))
    error = greatest(ours, theirs, exact=one.tolerance is None)
    agreement = None if compared.corrected is None else agreed(compared, picks=one.tolerance is None)
    holds = bool(theirs) and error <= (one.tolerance or 0.0)
    return Verdict(error, len(compared.theirs), agreement, holds)


def flat(values: Sequence[Any]) -> Iterator[Any]:
    """The values of nested lists, one after another."""
    for value in values:
        if isinstance(value, list | tuple):
            yield from flat(value)
        else:
            yield value.item() if hasattr(value, "item") else value


def greatest(ours: list[Any], theirs: list[Any], *, exact: bool) -> float:
    """The greatest difference of two lists; NaN counts as missing."""
    if exact:
        return 0.0 if ours == theirs else math.inf
    if len(ours) != len(theirs):
        return math.inf
    return max((difference(a, b) for a, b in zip(ours, theirs, strict=True)), default=math.inf)


def difference(ours: float | None, theirs: float | None) -> float:
    """Relative to the greater of 1 and the authors' value."""
    if missing(ours) or missing(theirs):
        return 0.0 if missing(ours) and missing(theirs) else math.inf
    assert ours is not None
    assert theirs is not None
    return 0.0 if ours == theirs else abs(ours - theirs) / max(1.0, abs(theirs))


def missing(value: float | None) -> bool:
    return value is None or math.isnan(value)


def agreed(compared: Compared, *, picks: bool) -> float:
    """How alike the corrected and the faithful results are, 1 being the same."""
    ours, corrected = list(flat(compared.ours)), list(flat(compared.corrected or ()))
    if picks:
        return len(set(ours) & set(corrected)) / max(len(set(ours)), 1)
    from scipy.stats import spearmanr

    both = [(a, b) for a, b in zip(ours, corrected, strict=True) if not missing(a) and not missing(b)]
    return float(spearmanr(*zip(*both, strict=True)).statistic)
