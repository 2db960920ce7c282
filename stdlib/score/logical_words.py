"""Words that mark steps of reasoning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...compiler.op import Answers
from .text import TextScore, part

if TYPE_CHECKING:
    import polars as pl

WORDS = (
    "therefore|thus|hence|consequently|since|because|according|accordingly|leading|lead|led|leads|so|calculate|"
    "calculates|calculated|calculating|calculation|calculations|verify|verifies|verifying|verified|verification|"
    "verifications|verifier|recall|recalls|recalling|recalled|note|notes|noted|noting|think|alternatively|"
    "alternative|perhaps|maybe|however|but|unless|wait|given"
)
"""Source: OpenDataArena/ODA-DataScorer, heuristic/configs/LogicalWordCountScorer.yaml; `verifing` spelt out."""


class LogicalWords(TextScore):
    """The number of words in the text that mark steps of reasoning, such as `therefore`, `because` and `wait`.

    OpenDataArena's LogicalWordCount in its mode `token`: whole words of a list, in upper or lower case, each as
    often as it stands there. Longer texts have more.
    """

    noun = "logical_words"
    paper = "https://github.com/OpenDataArena/OpenDataArena-Tool"
    range = "0 and above"
    missing = "none"
    example = 'load "examples/tasks.jsonl" | score logical_words | top 5 by logical_words'

    def reduce(self, known: Answers) -> pl.Series:
        text = part(known.column, self.of).fill_null("")
        return text.str.count_matches(rf"(?i)\b(?:{WORDS})\b")
