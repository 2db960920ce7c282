"""Ratings read from the distribution over the digits that may follow a prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...compiler.wants import NextToken, Template

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

RATINGS = (
    "Assign a score from 1 to 5 to each assistant based on how accurately they follow the instructions and "
    "response provided, ensuring the score is represented clearly on its own.\n",
    "Score each assistant on a scale from one to five, reflecting the accuracy of their adherence to the "
    "instructions and input, and present this score plainly without the need for extra details.\n",
    "Rate each assistant's response accuracy to the given task and input on a scale of 1 to 5, with 5 being the "
    "most precise; the score should be self-explanatory and presented as a single line.\n",
    "Evaluate the assistants by the correctness of their response to the provided directions and response, giving "
    "them a rating between 1 and 5—where a 5 indicates top accuracy—and output the score clearly as a standalone "
    "line.\n",
    "Rate each assistant on a scale of 1 to 5 based on their adherence to the instructions and the accuracy of "
    "their responses, with the score clearly displayed.\n",
    "For each assistant, allocate a score between 1 and 5 reflecting how precisely they follow instructions and "
    "their response accuracy, making sure the score is distinctly visible.\n",
    "Score each assistant from one to five, judging by how well they follow the given instructions and the "
    "correctness of their replies, and ensure that the score is clearly marked.\n",
    "Assign to every assistant a score ranging from 1 to 5, evaluating their compliance with instructions and the "
    "precision of their feedback, with the score being conspicuously presented.\n",
    "Provide a score of 1 to 5 for each assistant, considering their fidelity to instructions and the accuracy of "
    "their answers, and ensure the score is clearly indicated.",
)
"""Source: Blue-Raincoat/SelectIT, `rating_prompt.txt`; all lines but the last keep their line break."""


def asking(name: str, text: str) -> Template:
    """A template of one text, for rows with an input and without."""
    return Template(name, text, text, "")


RATING_TEMPLATES = tuple(
    asking(f"selectit {number}", f"{line}\nInstruction:{{prompt}}\nResponse:{{response}}\nThe answer is: \n")
    for number, line in enumerate(RATINGS, 1)
)
COMPLEXITY = asking(
    "complexity of deita",
    "You are a helpful assistant. Please identify the complexity score of the following user query. \n"
    "##Query: {prompt}  \n##Complexity: ",
)
"""Source: hkust-nlp/deita, with the blanks that its scorers were trained with."""
QUALITY = asking(
    "quality of deita",
    "You are a helpful assistant. Please identify the quality score of the Response corresponding to the "
    "Question. \n #Question#:\n{prompt}\n#Response#:\n{response} \n##Quality: ",
)
"""Source: hkust-nlp/deita, with the blanks that its scorers were trained with."""
FIVE, SIX = (NextToken(tuple("123456"[:most])) for most in (5, 6))


def shares(logprobs: pl.Series, ratings: int) -> np.ndarray:
    """`[rows, ratings]`, what each rating has of the probability of all of them; NaN for a row without answer."""
    import numpy as np
    import polars as pl

    there = logprobs.is_not_null().to_numpy()
    found = np.full((len(logprobs), ratings), np.nan)
    flat = logprobs.drop_nulls().explode(empty_as_null=False).cast(pl.Float64).to_numpy()
    found[there] = normalised(flat.reshape(-1, ratings))
    return found


def normalised(numbers: np.ndarray) -> np.ndarray:
    """The softmax of every row of `[rows, ratings]`."""
    import numpy as np

    powers = np.exp(numbers - numbers.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def expected_ratings(logprobs: pl.Series, ratings: int) -> pl.Series:
    """Per row the expected rating of each of its turns, Σ k p(k): `List(Float64)`; null for a row without answer.

    The lists hold one number for each rating of each turn, turn by turn.
    """
    import numpy as np
    import polars as pl

    turns = logprobs.list.len() // ratings
    flat = logprobs.drop_nulls().explode(empty_as_null=False).cast(pl.Float64).to_numpy()
    values = normalised(flat.reshape(-1, ratings)) @ np.arange(1, ratings + 1) if len(flat) else flat
    owners = np.repeat(np.arange(len(logprobs)), turns.fill_null(0).to_numpy())
    rated = pl.DataFrame({"row": pl.Series(owners, dtype=pl.UInt32), "rating": values})
    lists = rated.group_by("row", maintain_order=True).agg("rating")
    rows = pl.DataFrame({"row": pl.arange(len(logprobs), dtype=pl.UInt32, eager=True)})
    return rows.join(lists, on="row", how="left", maintain_order="left")["rating"]


def of_answered_turns(ratings: pl.Series, responses: pl.Series) -> pl.Series:
    """The lists without the last turn where that has no response."""
    import polars as pl

    known = pl.DataFrame({"ratings": ratings, "silent": responses.fill_null("") == ""})
    lists = pl.col("ratings").list
    return known.select(lists.head(lists.len() - pl.col("silent").cast(pl.UInt32)))["ratings"]


def total(ratings: pl.Series) -> pl.Series:
    """The sum of every list; null for none and for an empty one."""
    import polars as pl

    known = ratings.to_frame("ratings")
    lists = pl.col("ratings").list
    return known.select(pl.when(lists.len() > 0).then(lists.sum()))["ratings"]
