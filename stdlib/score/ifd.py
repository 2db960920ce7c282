"""Instruction-following difficulty."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ...compiler.op import Answers, Request, Score
from ...compiler.templates import ALPACA, BARE
from ...compiler.values import Model
from ...compiler.wants import Logprobs, Template, Tokens, View
from .predictions import finite, mean_loss

if TYPE_CHECKING:
    import polars as pl

WINDOW = {"cherry": 512, "superfiltering": 1024, "oda": 2048}
"""The `max_length` of the authors' scripts."""
CHATML = Template(
    name="chatml",
    with_input="<|im_start|>user\n{instruction}\n{input}<|im_end|>\n<|im_start|>assistant\n",
    without_input="<|im_start|>user\n{instruction}<|im_end|>\n<|im_start|>assistant\n",
    header="",
    between="<|im_end|>\n",
)
"""Source: OpenDataArena's IFDScorer."""
SHOWN = {"cherry": ALPACA, "superfiltering": BARE, "oda": CHATML}


class Ifd(Score):
    """How little the prompt helps the model predict the response: loss with the prompt over loss without it.

    `cherry`: mean loss of the response after its prompt, over its mean loss after the template's response
    header alone (Li et al., 2024, arXiv 2308.12032, eq. 3). `superfiltering`: the same ratio of
    perplexities, with a bare template (Li et al., 2024, arXiv 2402.00530). `oda`: that ratio in the ChatML
    template, as OpenDataArena's IFDScorer. Both means are over the same tokens of the response.

    Both papers then keep rows with a value of at most 1 (`filter ifd <= 1`; Superfiltering: `filter ifd <
    1`): above it the prompt makes the response less likely, a sign that they do not belong together.

    `faithful`: as the authors' scripts tokenise, cut and skip rows; by default both passes begin with a start
    token and read the same tokens of the response, and a long row is cut to the model's context.
    """

    noun = "ifd"
    positional = ("variant",)
    paper = "https://arxiv.org/abs/2308.12032"
    range = "above 0; near 1 the prompt hardly helps, above 1 it hinders"
    missing = "rows with an empty response, or with none left inside the window after a long prompt"
    example = """
        load "examples/tasks.jsonl"
        | score ifd using nano
        | filter ifd <= 1
        | top 20% by ifd
    """

    using: Model
    variant: Literal["cherry", "superfiltering", "oda"] = "cherry"
    """Ratio of mean losses, or of perplexities."""
    template: Template | None = None
    """How prompt and response are written out; Alpaca's for `cherry`, the bare one for `superfiltering`, ChatML
    for `oda`."""
    max_tokens: int | None = Field(None, ge=1)
    """Prompt and response are cut to so many tokens; the model's context (faithful: 512, 1024 and 2048) if not
    given."""
    faithful: bool = False
    """Tokenise, cut and skip as the authors' scripts do, with their off-by-one tokens where a merge crosses
    the seam of prompt and response, or where the tokenizer adds no start token; `oda` puts one before the lone
    response only."""

    @property
    def shown(self) -> Template:
        """The template in force."""
        return self.template or SHOWN[self.variant]

    def requests(self) -> dict[str, Request]:
        both = self._authors_view() if self.faithful else View(self.shown, limit=self.max_tokens)
        alone = self._alone(both)
        wanted = {
            "given": Request(self.using, both, Logprobs("response")),
            "alone": Request(self.using, alone, Logprobs("response")),
        }
        if self.faithful and self.variant == "cherry":
            wanted["prompt"] = Request(self.using, self._counted(both), Tokens("prompt"))
        return wanted

    def reduce(self, known: Answers) -> pl.Series:
        given, alone = mean_loss(known["given"]), mean_loss(known["alone"])
        ratio = given / alone if self.variant == "cherry" else (given - alone).exp()
        skips = self.faithful and self.variant == "cherry"
        return finite(self._within_window(ratio, known) if skips else ratio)

    def _authors_view(self) -> View:
        limit = self.max_tokens or WINDOW[self.variant]
        if self.variant == "oda":
            return View(self.shown, limit=limit, start="never")
        return View(self.shown, limit=limit, seam="joint", start="tokenizer")

    def _alone(self, both: View) -> View:
        if not self.faithful:
            return both.showing("response")
        if self.variant == "oda":
            # The script cuts the response beside the prompt, and puts the start token before what is left.
            return replace(both, parts=("response",), start="always", beside=1)
        return replace(both, parts=("response",), beside=self._beside())

    def _beside(self) -> int:
        """The slack of the authors' second window: the header's length in LLaMA tokens, as a constant."""
        if self.variant == "superfiltering":
            return 1
        return 6 if self.shown.header == "ASSISTANT:" else 4

    def _counted(self, both: View) -> View:
        """The view whose prompt the scripts count against the window."""
        text = self.shown.counted
        return both if text is None else replace(both, template=Template("counted", text, text, ""))

    def _within_window(self, ratio: pl.Series, known: Answers) -> pl.Series:
        """Null where the scripts skip the row: prompt and lone response do not fit into one window."""
        import polars as pl

        limit = self._authors_view().limit
        together = known["prompt"].cast(pl.Int64) + known["alone"].list.len().cast(pl.Int64)
        return pl.select(pl.when(together <= limit).then(ratio)).to_series()
