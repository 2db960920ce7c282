"""The scorer by itself, and the method in a whole run."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import selrun
from selrun_hedges.hedges import Hedges


@dataclass
class Rows:
    """Responses and nothing else."""

    responses: list[str | None]

    def column(self, name: str) -> pl.Series:
        return {"response": pl.Series(self.responses, dtype=pl.String)}[name]


def test_hedging_words_are_counted_in_a_hundred():
    scores = Hedges().reduce(Rows(["Maybe it rains.", "It rains.", "", None]))
    assert scores.round(2).to_list() == [33.33, 0.0, None, None]


def test_the_method_keeps_what_is_plainly_said():
    said = [
        "It might rain, or it could perhaps snow, but probably not.",
        "It rains all day and all night and on and on.",
    ]
    rows = [{"instruction": "Will it rain?", "input": "", "output": text} for text in said]
    assert selrun.run("plain_spoken(keep = 50%)", data=rows).rows["output"].to_list() == [said[1]]
