"""Which language a text is in."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from ...compiler.op import Answers, Cluster
from ...compiler.schema import Kind
from ...errors import DataError
from .text import Part, TextScore, part

if TYPE_CHECKING:
    import polars as pl


class Language(TextScore):
    """The probability that the text is in a language, such as `score language("en")`.

    The naive Bayes model over byte n-grams that the package py3langid carries (after Lui and Baldwin, 2012), with
    the probabilities of its languages as the package normalises them. A text of a few words says little.
    """

    noun = "language"
    positional = ("code",)
    paper = "https://aclanthology.org/P12-3005"
    range = "0 to 1"
    example = 'load "examples/tasks.jsonl" | score language("en") as english | filter english > 0.5'

    code: str
    """The language, in two letters of ISO 639-1."""

    def reduce(self, known: Answers) -> pl.Series:
        languages = identifier().labels
        if self.code in languages:
            return super().reduce(known)
        raise DataError(
            "E546",
            f"`{self.code}` is no language that can be told apart",
            help=f"name one of {', '.join(sorted(languages))}",
        )

    def measure(self, text: str) -> float | None:
        return dict(identifier().rank(text))[self.code]


class Languages(Cluster):
    """The most probable language of the text, in two letters of ISO 639-1; null where the part is empty.

    The model is that of `score language`. `sample 100 per language` then takes as many rows of each.
    """

    noun = "language"
    rowwise: ClassVar[bool] = True
    kind: ClassVar[Kind] = "text"
    paper = "https://aclanthology.org/P12-3005"
    example = 'load "examples/tasks.jsonl" | cluster language as tongue | sample 5 per tongue'

    of: Part = "response"
    """Which part is read; `whole` is the prompt and, on a new line, the response."""

    def reads(self) -> frozenset[str]:
        return frozenset({"prompt", "response"} if self.of == "whole" else {self.of})

    def reduce(self, known: Answers) -> pl.Series:
        import polars as pl

        classify = identifier().classify
        return pl.Series(
            [None if t is None else classify(t)[0] for t in part(known.column, self.of)], dtype=pl.String
        )


@lru_cache(maxsize=1)
def identifier() -> Any:
    """The package's own model. Raises DataError E545 where the package is not installed."""
    try:
        package = import_module("py3langid.langid")
    except ImportError:
        raise DataError(
            "E545",
            "languages are told apart by the package py3langid, which is not installed",
            help="install it: `pip install 'selrun[language]'`",
        ) from None
    return package.LanguageIdentifier.from_model_file(package.MODEL_FILE, norm_probs=True)
