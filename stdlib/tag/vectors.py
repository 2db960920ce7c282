"""What operations on the meaning of tags have in common: where the tags' vectors come from."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ...compiler.op import Answers, Op, Request
from ...compiler.templates import BARE
from ...compiler.values import Data, Expression, Model
from ...compiler.wants import Template
from ...errors import DataError
from ..embed.directions import directions
from ..embed.vectors import points, vectors_of

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Meanings:
    """Unit vectors, and which of them each tag has."""

    vectors: np.ndarray
    places: np.ndarray
    """`[tags]`: below 0 where a tag has none."""


class Meaning(Op):
    """An operation that looks at a vector for every tag of the rows."""

    values_of: ClassVar[str] = "labels"
    vectors_in: ClassVar[tuple[str, ...]] = ("vectors",)

    labels: Expression
    """The column that holds a list of tags for every row."""
    against: Data | None = None
    """A dataset with one row for every tag, its prompt; the rows' own tags where not given."""
    using: Model | None = None
    """The sentence encoder or language model that gives the tags' vectors."""
    vectors: str | None = None
    """The column of `against` that holds the tags' vectors, in place of a model's."""
    template: Template = BARE
    """How a language model is shown a tag."""

    def requests(self) -> dict[str, Request]:
        if self.against is None or self.using is None or self.vectors is not None:
            return {}
        shown = vectors_of(self.using, "prompt", self.template)
        return {"vector": Request(shown.model, shown.view, shown.want, of=self.against)}

    def meanings(self, known: Answers, vocabulary: Sequence[str]) -> Meanings:
        """The vectors of the tags. Raises DataError E559 where no tag has one."""
        import numpy as np

        if self.against is None:
            told = "no two tags are similar, because no dataset of tags is given with `against`"
            warnings.warn(told, UserWarning, stacklevel=3)
            return Meanings(np.empty((0, 1), dtype=np.float32), np.full(len(vocabulary), -1))
        others = known.dataset(self.against)
        at = {tag: row for row, tag in enumerate(others["@prompt"].str.strip_chars().to_list())}
        rows = np.array([at.get(tag.strip(), -1) for tag in vocabulary], dtype=np.int64)
        column = others[self.vectors] if self.vectors is not None else known["vector"]
        placed = directions(points(column), "of the tags")
        place = np.full(others.height + 1, -1)
        place[placed.rows] = np.arange(len(placed))
        places = place[rows]
        self._tell_of_tags_without_vectors(int((places < 0).sum()), len(vocabulary))
        return Meanings(placed.vectors, places)

    def _tell_of_tags_without_vectors(self, lacking: int, tags: int) -> None:
        if lacking == tags:
            assert self.against is not None
            raise DataError(
                "E559",
                f"none of the {tags:,} tags of `{self.labels.text}` is a row of {self.against.label or 'the tags'}",
                help="give a dataset with one row for every tag, its text as the instruction",
            )
        if lacking:
            told = f"{lacking:,} of {tags:,} tags have no vector; they are similar to themselves only"
            warnings.warn(told, UserWarning, stacklevel=4)
