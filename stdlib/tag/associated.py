"""Tags that always come together as one tag."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Adds, Answers
from ...compiler.values import Expression
from ..select.tags import tag_lists

if TYPE_CHECKING:
    import polars as pl


class Associated(Adds):
    """Each row's tags, those that always come together as one: the last of InsTag's four steps.

    Where of the rows with some tags at least `confidence` have another one too, on at least `support` rows, all of
    these are one tag, called as the most frequent of them, then the shortest, then the first (Lu et al., 2024,
    arXiv 2308.07074, section 3.2: FP-Growth's rules, whose tags are merged recursively).
    """

    verb = "tag"
    noun = "associated"
    kind = "list"
    positional = ("labels",)
    paper = "https://arxiv.org/abs/2308.07074"
    example = """
        load "examples/tasks.jsonl"
        | tag split(topic, "-") as tags
        | tag associated(tags, support = 5)
        | diversify tags(10) by associated
    """

    labels: Expression
    """The column that holds a list of tags for every row."""
    support: int = Field(40, ge=1)
    """So many rows must have all tags of a rule."""
    confidence: float = Field(0.99, gt=0, le=1)
    """The part of the rows with the first tags that must have the other."""
    longest: int = Field(3, ge=1)
    """Rules of at most so many tags, with 1 none; the paper sets no limit, but every one more is much more work."""

    def reduce(self, known: Answers) -> pl.Series:
        import polars as pl

        rows = joined(self.written(known), self.support, self.confidence, self.longest)
        return pl.Series(rows, dtype=pl.List(pl.String))

    def written(self, known: Answers) -> list[list[str] | None]:
        """The tags of every row before they are joined."""
        return tag_lists(known.evaluate(self.labels), self.labels.text)


@dataclass(frozen=True, slots=True)
class Rule:
    """Rows with some tags have another one too."""

    tags: tuple[str, ...]
    other: str
    support: int
    """How many rows have all of them."""
    confidence: float
    """Which part of the rows with the tags has the other."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A set of tags, and how many rows have it."""

    tags: frozenset[str]
    rows: int = 1


def joined(
    rows: Sequence[Sequence[str] | None], support: int, confidence: float, longest: int
) -> list[list[str] | None]:
    """The tags of every row, those that rules join as one."""
    sets = [Counted(tags, count) for tags, count in Counter(frozenset(row) for row in rows if row).items()]
    return renamed(rows, merged(rules(sets, support, confidence, longest), occurrences(rows)))


def renamed(rows: Sequence[Sequence[str] | None], names: Mapping[str, str]) -> list[list[str] | None]:
    """The tags of every row under their new names, each once."""
    return [None if row is None else list(dict.fromkeys(names.get(tag, tag) for tag in row)) for row in rows]


def occurrences(rows: Iterable[Sequence[str] | None]) -> Counter[str]:
    """On how many rows each tag is."""
    return Counter(tag for row in rows for tag in set(row or ()))


def rules(rows: Sequence[Counted], support: int, confidence: float, longest: int) -> Iterator[Rule]:
    """The rules with one tag on the right, but for those that say of more tags what a rule of fewer says.

    Such a rule has tags on the left of which one follows from the others without exception: it joins no tags that
    the shorter rules do not join.
    """
    yield from _rules((), rows, support, confidence, longest)


def _rules(
    given: tuple[str, ...], rows: Sequence[Counted], support: int, confidence: float, longest: int
) -> Iterator[Rule]:
    having: defaultdict[str, list[Counted]] = defaultdict(list)
    for row in rows:
        for tag in row.tags.difference(given):
            having[tag].append(row)
    every, counts = number(rows), {tag: number(some) for tag, some in having.items()}
    frequent = sorted(tag for tag, count in counts.items() if count >= support)
    if given:
        shares = ((tag, counts[tag] / every) for tag in frequent)
        yield from (Rule(given, tag, counts[tag], share) for tag, share in shares if share >= confidence)
    if len(given) + 1 == longest:
        return
    for tag in frequent:
        if not given or (tag > given[-1] and counts[tag] < every):
            yield from _rules((*given, tag), having[tag], support, confidence, longest)


def number(rows: Iterable[Counted]) -> int:
    """How many rows there are."""
    return sum(row.rows for row in rows)


def merged(found: Iterable[Rule], often: Counter[str]) -> dict[str, str]:
    """What tags are called that rules join: the most frequent of them, then the shortest, then the first."""
    import networkx as nx

    graph = nx.Graph(pair for rule in found for pair in pairwise((*rule.tags, rule.other)))
    return dict(named(nx.connected_components(graph), often))


def named(groups: Iterable[Iterable[str]], often: Counter[str]) -> Iterator[tuple[str, str]]:
    """Each tag of the groups with the name of its group."""
    for group in groups:
        members = sorted(group)
        name = min(members, key=lambda tag: (-often[tag], len(tag), tag))
        yield from ((tag, name) for tag in members)
