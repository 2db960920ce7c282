"""Images and their captions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...compiler.op import Answers, Request, Score
from ...compiler.values import Model
from ...compiler.wants import Likeness, Template, View

if TYPE_CHECKING:
    import polars as pl

CAPTION = Template("caption", "{response}", "{response}", "")


class Clip(Score):
    """How alike the image of a row and its caption are: the cosine of their CLIP vectors (Radford et al., 2021).

    The caption is the response; one of several images counts as much as another. Of a caption that is longer
    than the model's window the end is cut. Images are named in the rows' column `images` or `image`; one that is
    missing or broken leaves the row without a value and with the reason.
    """

    noun = "clip"
    paper = "https://arxiv.org/abs/2103.00020"
    default_model = "clip"
    range = "-1 to 1; captions that fit lie at 0.2 to 0.4"
    missing = "rows without an image, with one that cannot be read, or with an empty response"
    conversations = "last: the last response alone"
    example = 'load "examples/tasks.jsonl" | score clip using clip'

    using: Model
    folder: str = ""
    """Where the images lie, for paths that are not whole; the current folder where not given."""
    template: Template = CAPTION
    """The text that stands for the caption."""

    def requests(self) -> dict[str, Request]:
        view = View(self.template, ("prompt",), seam="own", images=self.folder)
        return {"likeness": Request(self.using, view, Likeness())}

    def reduce(self, known: Answers) -> pl.Series:
        return known["likeness"]
