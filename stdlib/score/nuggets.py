"""Nuggets: how often a row, as an example, makes other rows' responses likelier."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Answers, Request, Score
from ...compiler.values import Data, Model
from ...compiler.wants import Continued, Logprobs, Template, Tokens, View
from ...errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

PROMPT = Template(
    name="nuggets",
    with_input="Instruction:\n{instruction}\nInput:\n{input}\nResponse:\n",
    without_input="Instruction:\n{instruction}\nResponse:\n",
    header="Response:\n",
)
"""Source: pldlgb/nuggets, the prompt that its scripts call `sp`."""
AUTHORS_CAP, CAP = 200, 512
"""Tokens of an anchor that are read."""


class Nuggets(Score):
    """The share of anchors whose response is likelier after this row than by itself: the golden score.

    An anchor counts where Σ log p(its response | row, its prompt) > Σ log p(its response | its prompt) (Li et al.,
    2023, arXiv 2312.10302). Row and anchor are written in the authors' prompt.

    `faithful`: as the authors' script reads and sums them with `kv_iter=1`, its documented setting. By default, the
    anchor by itself begins with a start token too, a blank line parts the row from the anchor, the softmax has no
    entry for an added padding token, and anchors whose response does not fit are left out instead of counting as
    lost.
    """

    noun = "nuggets"
    positional = ("against",)
    paper = "https://arxiv.org/abs/2312.10302"
    range = "0 to 1"
    missing = (
        "rows with an empty response, and rows that do not fit into the context beside the longest anchor"
    )
    example = """
        load "examples/tasks.jsonl"
        | filter len(prompt) + len(response) < 120
        | sample 12
        | score nuggets using nano against (sample 3)
        | filter nuggets > 0.5
    """

    using: Model
    against: Data
    """The anchors: tasks that stand for what the model shall do better."""
    template: Template = PROMPT
    """How rows and anchors are written out."""
    max_tokens: int | None = Field(None, ge=1)
    """Anchors are cut to so many tokens; 512 if not given (faithful: 200)."""
    faithful: bool = False
    """Read as the authors' script does: the anchor by itself without a start token, nothing between row and
    anchor, texts without the blanks at their ends, a softmax with the padding token that the script adds, and
    anchors whose prompt fills the window as never won."""

    def requests(self) -> dict[str, Request]:
        alone = self.anchor_view()
        whole = replace(alone, limit=None)
        return {
            "alone": Request(self.using, alone, Logprobs("response", self.faithful), of=self.against),
            "after": Request(self.using, self.row_view(), Continued(self.against, alone, self.faithful)),
            "tokens": Request(self.using, whole, Tokens("whole"), of=self.against),
        }

    @property
    def cap(self) -> int:
        """So many tokens of an anchor are read."""
        return self.max_tokens or (AUTHORS_CAP if self.faithful else CAP)

    def anchor_view(self) -> View:
        """The anchor by itself."""
        if not self.faithful:
            return View(self.template, limit=self.cap)
        template = replace(self.template, between="")
        return View(template, limit=self.cap, seam="joint", start="never", stripped=True)

    def row_view(self) -> View:
        """The row as an example."""
        if not self.faithful:
            return View(self.template)
        example = replace(
            self.template,
            with_input=self.template.with_input + "{response}",
            without_input=self.template.without_input + "{response}",
        )
        return View(example, ("prompt",), seam="joint", start="tokenizer", stripped=True)

    def reduce(self, known: Answers) -> pl.Series:
        import numpy as np
        import polars as pl

        alone = sums(known["alone"])
        usable = np.isfinite(alone)
        self._look_at_the_anchors(known, usable)
        after = matrix(known["after"], len(alone))[:, usable]
        won = (after > alone[usable]).sum(axis=1) / (len(alone) if self.faithful else usable.sum())
        scored = pl.Series(np.asarray(np.isfinite(after).all(axis=1)))
        return pl.select(pl.when(scored).then(pl.Series(won)).alias("nuggets")).to_series()

    def _look_at_the_anchors(self, known: Answers, usable: np.ndarray) -> None:
        """Tells of anchors that are cut, of no use, or scored themselves. Raises DataError E564 and E565."""
        anchors, lost = len(usable), int((~usable).sum())
        if not anchors:
            raise DataError("E565", "there are no anchors", help="name a dataset with rows after `against`")
        if lost == anchors:
            raise self._no_response(anchors)
        cut = int((known["tokens"] > self.cap).sum())
        own = int(known.dataset(self.against)["@key"].is_in(known.rows["@key"].implode()).sum())
        for count, fact in (
            (cut, f"are cut to {self.cap:,} tokens"),
            (lost, f"have no response within them, and are {'never won' if self.faithful else 'left out'}"),
            (own, "are scored as rows too, and each makes itself likelier"),
        ):
            if count:
                warnings.warn(f"{count:,} of {anchors:,} anchors {fact}", stacklevel=2)

    def _no_response(self, anchors: int) -> DataError:
        return DataError(
            "E564",
            f"none of the {anchors:,} anchors has a response within {self.cap:,} tokens",
            help=(
                "name anchors with responses after `against`",
                "or read more of them: `with max_tokens = 1024`",
            ),
        )


def sums(logprobs: pl.Series) -> np.ndarray:
    """The sum of each list, NaN for null and for no token: `[lists]`, float32."""
    import polars as pl

    known = logprobs.cast(pl.List(pl.Float64))
    added = pl.select(pl.when(known.list.len() > 0).then(known.list.sum())).to_series()
    return added.cast(pl.Float32).fill_null(float("nan")).to_numpy()


def matrix(lists: pl.Series, width: int) -> np.ndarray:
    """`[lists, width]`, float32; NaN for a list or a number that is missing."""
    import numpy as np
    import polars as pl

    found = np.full((len(lists), width), np.nan, dtype=np.float32)
    numbers = lists.drop_nulls().explode(empty_as_null=False).cast(pl.Float32)
    found[lists.is_not_null().to_numpy()] = numbers.fill_null(float("nan")).to_numpy().reshape(-1, width)
    return found
