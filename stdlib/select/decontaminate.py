"""Rows that hold questions of a test set."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Answers, Dedup, Picked
from ...compiler.values import Data
from ...errors import DataError
from ..score.text import Part, part
from .grams import Ragged, blocks, grams, hashed_words

if TYPE_CHECKING:
    import polars as pl

MEETINGS = 4_000_000
"""How many places where a row meets a test row are held at once; any number gives the same result."""


class Decontaminate(Dedup):
    """The rows that do not hold a row of a test set.

    A row goes where more than `share` of the words of one test row lie in n-grams that both have: the rule of
    Tülu 3 (Lambert et al., 2024, arXiv 2411.15124, section 3.2), over prompts with n = 8 and a half.
    `decontaminate(13, share = 0)` drops a row for any 13-gram, as GPT-3 did (Brown et al., 2020, arXiv
    2005.14165, appendix C). Words are in lower case and without punctuation. Test rows of fewer than n words
    cannot be found, which is warned about.
    """

    noun = "decontaminate"
    positional = ("n",)
    paper = "https://arxiv.org/abs/2411.15124"
    example = 'load "examples/tasks.jsonl" | dedup decontaminate against (sample 5)'

    against: Data
    """The test set."""
    n: int = Field(8, ge=1)
    """How many words that follow each other have to be the same."""
    share: float = Field(0.5, ge=0, lt=1)
    """More than this part of a test row's words has to be found in a row; 0 takes any n-gram."""
    of: Part = "prompt"
    """Which part of rows and test rows is compared."""

    def pick(self, known: Answers) -> Picked:
        import polars as pl

        tests = known.dataset(self.against)
        test_words = hashed_words(part(lambda name: tests[f"@{name}"], self.of))
        self._look_at_the_tests(test_words)
        worst = self._worst(part(known.column, self.of), test_words)
        every = pl.select(pl.int_range(known.rows.height, dtype=pl.Int64).alias("row"))
        told = every.join(worst, on="row", how="left", maintain_order="left")
        name = pl.lit(tests["@id"]).gather(pl.col("test"))
        fact = f"% of the words of row {{}} of {self._label()} are in {self.n}-grams of this row"
        reason = pl.format("{}" + fact, (100 * pl.col("share")).round(1), name)
        reasons = told.select(pl.when(pl.col("share") > self.share).then(reason).alias("reason"))["reason"]
        order = reasons.is_null().arg_true().cast(pl.UInt32)
        notes = {"kept": len(order), "of": known.rows.height, "test rows": tests.height}
        return Picked(order, reasons, {"contamination": told["share"].fill_null(0.0)}, notes)

    def _label(self) -> str:
        return f"`{self.against.label}`" if self.against.label else "the test set"

    def _look_at_the_tests(self, words: Ragged) -> None:
        """Tells of test rows that cannot be found. Raises DataError E547 and E548."""
        if not len(words):
            raise DataError(
                "E547", f"{self._label()} has no rows", help="name a file with rows after `against`"
            )
        short = int((words.sizes < self.n).sum())
        if short == len(words):
            raise DataError(
                "E548",
                f"none of the {short:,} rows of {self._label()} has {self.n} words in its {self.of}",
                help=(
                    "look for shorter n-grams, such as `decontaminate(5)`",
                    "or at another part: `with of = whole`",
                ),
            )
        if short:
            fact = f"{short:,} of {len(words):,} test rows have fewer than {self.n} words and cannot be found"
            warnings.warn(fact, stacklevel=3)

    def _worst(self, texts: pl.Series, test_words: Ragged) -> pl.DataFrame:
        """For each `row` that shares n-grams with test rows the `test` row it covers most, and its `share`."""
        import polars as pl

        places = placed(grams(test_words, self.n))
        lengths = pl.DataFrame({"words": test_words.sizes}).with_row_index("test")
        found, start = [], 0
        for block in blocks(texts):
            hits = common(grams(hashed_words(block), self.n), places)
            for piece in pieces(hits):
                most = most_covered(piece, places, lengths, self.n)
                found.append(most.with_columns(pl.col("row") + start))
            start += len(block)
        return pl.concat(found)


def placed(tests: Ragged) -> pl.DataFrame:
    """Each `gram` of the test rows with its `test` row and its `place` there."""
    import numpy as np
    import polars as pl

    within = np.arange(len(tests.numbers)) - np.repeat(tests.starts[:-1], tests.sizes)
    places = pl.DataFrame({"gram": tests.numbers, "test": tests.texts, "place": within})
    return places.cast({"test": pl.UInt32})


def common(rows: Ragged, places: pl.DataFrame) -> pl.DataFrame:
    """Each `row` with each `gram` that it shares with a test row, and `meets`, at how many places."""
    import numpy as np
    import polars as pl

    often = places.group_by("gram").agg(pl.len().cast(pl.Int64).alias("meets")).sort("gram")
    known = often["gram"].to_numpy()
    at = np.minimum(np.searchsorted(known, rows.numbers), len(known) - 1)
    hit = known[at] == rows.numbers
    found = pl.DataFrame(
        {"row": rows.texts[hit], "gram": rows.numbers[hit], "meets": often["meets"].gather(at[hit])}
    )
    return found.unique(["row", "gram"], maintain_order=True)


def pieces(hits: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The hits in pieces of whole rows that meet test rows at about as many places as are held at once; one at
    least."""
    import polars as pl

    if not hits.height:
        yield hits
        return

    rows = hits.group_by("row", maintain_order=True).agg(pl.col("meets").sum())
    piece = rows.select("row", (pl.col("meets").cum_sum() // MEETINGS).alias("piece"))
    yield from hits.join(piece, on="row", maintain_order="left").partition_by("piece", maintain_order=True)


def most_covered(hits: pl.DataFrame, places: pl.DataFrame, lengths: pl.DataFrame, n: int) -> pl.DataFrame:
    """For each row the test row of whose words the n-grams that both have cover most; the first of equal ones."""
    import polars as pl

    met = hits.join(places, on="gram").sort("row", "test", "place")
    same = (pl.col("row") == pl.col("row").shift(-1)) & (pl.col("test") == pl.col("test").shift(-1))
    step = (pl.col("place").shift(-1) - pl.col("place")).clip(upper_bound=n)
    covers = pl.when(same).then(step).otherwise(n)
    pairs = met.with_columns(covers.alias("covers")).group_by("row", "test").agg(pl.col("covers").sum())
    shares = pairs.join(lengths, on="test").with_columns((pl.col("covers") / pl.col("words")).alias("share"))
    best = shares.sort("row", "share", "test", descending=[False, True, False]).unique("row", keep="first")
    return best.select("row", "test", "share").sort("row")
