"""The table of all claims that were compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .claim import Claim, Verdict

LINE = "parity"
"""The name under which a test records its line."""
HEADINGS = (
    "method",
    "what is compared",
    "faithful",
    "within",
    "default ~ faithful",
    "rows",
    "authors' values from",
)
FAILS, ABSENT = "FAILS", "not compared"


def table(found: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """The lines below each other, and how many claims hold."""
    lines = [HEADINGS, *found]
    widths = [max(len(line[at]) for line in lines) for at in range(len(HEADINGS))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
    failed, absent = (sum(line[2].startswith(word) for line in found) for word in (FAILS, ABSENT))
    yield f"{len(found) - failed - absent} hold, {failed} fail, {absent} not compared"


def cells(one: Claim, verdict: Verdict | None) -> tuple[str, ...]:
    """The line of a claim; one without a verdict lacks what it is compared with."""
    named = one.method, one.compare.__name__.replace("_", " ")
    within = "equal" if one.tolerance is None else f"{one.tolerance:.0e}"
    if verdict is None:
        return *named, ABSENT, within, "", "", f"{one.source} (absent)"
    agreement = "" if verdict.agreement is None else f"{verdict.agreement:.3f}"
    return *named, outcome(one, verdict), within, agreement, f"{verdict.rows:,}", one.source


def outcome(one: Claim, verdict: Verdict) -> str:
    """The greatest difference, or whether the picks are equal."""
    if not verdict.holds:
        return f"{FAILS}: {verdict.error:.1e}"
    return "equal" if one.tolerance is None else f"{verdict.error:.1e}"
