"""The information that rows bring on their tags, and the rows that together bring the most."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from scipy.sparse import csr_array

TAGS_AT_ONCE = 2048


def membership(
    tags: Sequence[Collection[str]], vocabulary: Sequence[str], scores: np.ndarray, *, norm: bool
) -> csr_array:
    """Each row's score at each of its tags, `[rows, tags]`; with `norm` its score shared out over them."""
    import numpy as np
    from scipy.sparse import csr_array

    places = {tag: place for place, tag in enumerate(vocabulary)}
    counts = np.array([len(row) for row in tags])
    columns = np.array([places[tag] for row in tags for tag in row], dtype=np.int64)
    each = scores / np.maximum(counts, 1) if norm else scores
    ends = np.concatenate([[0], counts.cumsum()])
    return csr_array((np.repeat(each, counts), columns, ends), shape=(len(tags), len(vocabulary)))


def similar(directions: np.ndarray, places: np.ndarray, threshold: float) -> csr_array:
    """Similarities of tags from `threshold` up, each 1 with itself; a tag's place is its vector's, or below 0."""
    import numpy as np
    from scipy.sparse import csr_array

    rows, columns, values = [], [], []
    known = np.flatnonzero(places >= 0)
    vectors = directions[places[known]]
    for start in range(0, len(known), TAGS_AT_ONCE):
        alike = vectors[start : start + TAGS_AT_ONCE] @ vectors.T
        left, right = np.nonzero(alike >= threshold)
        other = left + start != right
        left, right = left[other], right[other]
        rows.append(known[left + start])
        columns.append(known[right])
        values.append(alike[left, right].astype(np.float64))
    every = np.arange(len(places))
    at = (np.concatenate([every, *rows]), np.concatenate([every, *columns]))
    return csr_array((np.concatenate([np.ones(len(places)), *values]), at), shape=(len(places),) * 2)


def propagation(similarities: csr_array, weight: float = 1.0) -> csr_array:
    """How much of what is on one tag comes to another, `[from, to]`: similarities, columns summing to 1.

    Similarities of different tags are weighted first.
    """
    import numpy as np
    from scipy.sparse import csr_array, diags_array

    own = diags_array(similarities.diagonal())
    weighted = csr_array((similarities - own) * weight + own)
    return csr_array(weighted @ diags_array(1 / np.asarray(weighted.sum(axis=0)).ravel()))


@dataclass(frozen=True, slots=True)
class Chosen:
    """Rows in the order of choice, and what each brought."""

    order: list[int] = field(default_factory=list)
    gains: list[float] = field(default_factory=list)


def most_informative(rows: csr_array, wanted: int, worth: Callable[[float], float]) -> Chosen:
    """Rows chosen greedily by what they bring, each tag's part times its `worth` at what was brought before.

    What a row brings only falls, so a row that still brings more than all others did is the next one.
    """
    parts = [list(row) for row in _parts(rows)]
    tags = max((tag for row in parts for tag, _ in row), default=-1) + 1
    brought, worths = [0.0] * tags, [worth(0.0)] * tags
    queue = [(-_gain(part, worths), row) for row, part in enumerate(parts)]
    heapq.heapify(queue)
    chosen = Chosen()
    while queue and len(chosen.order) < wanted:
        row = heapq.heappop(queue)[1]
        now = (-_gain(parts[row], worths), row)
        if queue and now > queue[0]:
            heapq.heappush(queue, now)
            continue
        chosen.order.append(row)
        chosen.gains.append(-now[0])
        for tag, part in parts[row]:
            brought[tag] += part
            worths[tag] = worth(brought[tag])
    return chosen


def _parts(rows: csr_array) -> Iterator[Iterator[tuple[int, float]]]:
    """The tags of every row, and its part on each."""
    import numpy as np

    rows.sort_indices()
    ends: list[int] = np.asarray(rows.indptr).tolist()
    tags: list[int] = np.asarray(rows.indices).tolist()
    parts: list[float] = np.asarray(rows.data).tolist()
    for start, stop in pairwise(ends):
        yield zip(tags[start:stop], parts[start:stop], strict=True)


def _gain(parts: Sequence[tuple[int, float]], worths: Sequence[float]) -> float:
    return sum(part * worths[tag] for tag, part in parts)
