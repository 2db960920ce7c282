"""Tags that mean much the same as one tag."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Adds, Answers
from ..cluster.dbscan import regions
from ..select.tags import tag_lists
from .associated import named, occurrences, renamed
from .vectors import Meaning

if TYPE_CHECKING:
    import polars as pl


class Alike(Meaning, Adds):
    """Each row's tags, those of near vectors as one: the third of InsTag's four steps.

    Tags are joined by DBSCAN with single tags as clusters, so that each is with all those whose cosine similarity to
    it is at least `1 - distance`; a cluster is called as the most frequent of its tags, then the shortest, then the
    first (Lu et al., 2024, arXiv 2308.07074, section 3.2, where PhraseBERT, `whaleloops/phrase-bert`, gives the
    vectors). A model reads the tags as it reads prompts, or their vectors come from the rows of `against`, one tag a
    row. A tag without a vector stays.
    """

    verb = "tag"
    noun = "alike"
    kind = "list"
    positional = ("labels", "distance")
    paper = "https://arxiv.org/abs/2308.07074"
    default_model = "minilm"
    example = """
        load "examples/tasks.jsonl"
        | tag split(topic, "-") as tags
        | tag alike(tags, 0.1) using nano
        | diversify tags(10) by alike
    """

    distance: float = Field(0.05, gt=0, le=2)
    """How far two tags are at most that are one; one minus their similarity."""

    def reduce(self, known: Answers) -> pl.Series:
        import polars as pl

        rows = tag_lists(known.evaluate(self.labels), self.labels.text)
        often = occurrences(rows)
        names = dict(named(self._groups(known, sorted(often)), often))
        return pl.Series(renamed(rows, names), dtype=pl.List(pl.String))

    def _groups(self, known: Answers, vocabulary: Sequence[str]) -> list[list[str]]:
        import numpy as np

        if not vocabulary:
            return []
        found = self.meanings(known, vocabulary)
        there = np.flatnonzero(found.places >= 0)
        labels = regions(found.vectors[found.places[there]], self.distance, 1, "cosine")
        groups: defaultdict[int, list[str]] = defaultdict(list)
        for at, label in zip(there.tolist(), labels.tolist(), strict=True):
            groups[label].append(vocabulary[at])
        return list(groups.values())
