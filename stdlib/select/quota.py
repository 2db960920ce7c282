"""How many places each group gets."""

from __future__ import annotations

from collections.abc import Sequence


def quotas(sizes: Sequence[int], places: int, available: Sequence[int] | None = None) -> list[int]:
    """Places for each group in proportion to its size, by largest remainder; ties go to the earlier group.

    Every group gets at least the whole part of its proportion, or all of its `available` rows if those are
    fewer; what it cannot fill goes to the others, again in proportion. The sum is `places`, or all
    available rows.
    """
    room = list(sizes if available is None else available)
    given = [0] * len(sizes)
    open_groups = [i for i, rows in enumerate(room) if rows and sizes[i]]
    while open_groups and places:
        shares = _largest_remainder([sizes[i] for i in open_groups], places)
        full = {i for i, share in zip(open_groups, shares, strict=True) if share > room[i]}
        for i, share in zip(open_groups, shares, strict=True):
            given[i] = room[i] if i in full else share
        if not full:
            break
        places -= sum(room[i] for i in full)
        open_groups = [i for i in open_groups if i not in full]
    return given


def _largest_remainder(sizes: Sequence[int], places: int) -> list[int]:
    total = sum(sizes)
    shares = [places * size // total for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda i: -(places * sizes[i] % total))
    for i in by_remainder[: places - sum(shares)]:
        shares[i] += 1
    return shares
