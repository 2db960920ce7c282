"""The table of all claims that were compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .claim import Claim, Verdict

HEADINGS = (
    "method",
    "what is compared",
    "faithful",
    "within",
    "default ~ faithful",
    "rows",
    "authors' values from",
)


def table(found: Mapping[Claim, Verdict | None]) -> Iterator[str]:
    """A line for each claim; one without a verdict lacks what it is compared with."""
    lines = [HEADINGS, *(cells(one, found[one]) for one in sorted(found, key=lambda c: c.method))]
    widths = [max(len(line[at]) for line in lines) for at in range(len(HEADINGS))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
    absent = sum(verdict is None for verdict in found.values())
    failed = sum(verdict is not None and not verdict.holds for verdict in found.values())
    yield f"{len(found) - failed - absent} hold, {failed} fail, {absent} not compared"


def cells(one: Claim, verdict: Verdict | None) -> tuple[str, ...]:
    named = one.method, one.compare.__name__.replace("_", " ")
    within = "equal" if one.tolerance is None else f"{one.tolerance:.0e}"
    if verdict is None:
        return *named, "not compared", within, "", "", f"{one.source} (absent)"
    agreement = "" if verdict.agreement is None else f"{verdict.agreement:.3f}"
    return *named, outcome(one, verdict), within, agreement, f"{verdict.rows:,}", one.source


def outcome(one: Claim, verdict: Verdict) -> str:
    """The greatest difference, or whether the picks are equal."""
    if not verdict.holds:
        return f"FAILS: {verdict.error:.1e}"
    return "equal" if one.tolerance is None else f"{verdict.error:.1e}"
