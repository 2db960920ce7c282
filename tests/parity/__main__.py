"""Prints every claim of parity as one table; the exit status says whether all of them hold."""

from __future__ import annotations

import sys

from .claim import Absent, Claim, judged
from .families import CLAIMS

HEADINGS = ("method", "faithful", "within", "default ~ faithful", "rows", "authors' values from")


def line(one: Claim) -> tuple[bool | None, tuple[str, ...]]:
    """Whether the claim holds, and its line of the table; neither where the values are absent."""
    within = "equal" if one.tolerance is None else f"{one.tolerance:.0e}"
    try:
        verdict = judged(one)
    except Absent:
        return None, (one.method, "not compared", within, "", "", f"{one.source} (absent)")
    shown = (
        ("equal" if verdict.error == 0 else "DIFFERENT") if one.tolerance is None else f"{verdict.error:.1e}"
    )
    agreement = "" if verdict.agreement is None else f"{verdict.agreement:.3f}"
    mark = "" if verdict.holds else "  FAILS"
    return verdict.holds, (one.method, shown + mark, within, agreement, f"{verdict.rows:,}", one.source)


def main() -> int:
    """Compares all claims."""
    found = [line(one) for one in sorted(CLAIMS, key=lambda c: c.method)]
    table = [HEADINGS, *(cells for _, cells in found)]
    widths = [max(len(cells[at]) for cells in table) for at in range(len(HEADINGS))]
    for cells in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
    failed, absent = (sum(holds is wanted for holds, _ in found) for wanted in (False, None))
    print(f"\n{len(found) - failed - absent} hold, {failed} fail, {absent} not compared")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
