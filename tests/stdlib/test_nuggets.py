"""Golden scores: the share of anchors that a row makes likelier."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from answers import NANO, Given
from selrun.compiler.values import Data
from selrun.compiler.wants import Continued, Logprobs
from selrun.errors import DataError
from selrun.runtime.nano import nano_model, nano_tokenizer
from selrun.runtime.rows import read_rows
from selrun.runtime.run import execute
from selrun.runtime.settings import Settings
from selrun.stdlib.score.nuggets import Nuggets

ANCHORS = Data(key="anchors", label="anchors.jsonl")
Floats = list[float | None]


def known(
    alone: Sequence[list[float] | None], after: Sequence[Floats | None], *, tokens: int = 9, own: int = 0
) -> Given:
    """Answers about as many rows and anchors; the first `own` anchors are rows as well."""
    keys = [f"anchor {at}" for at in range(len(alone))]
    rows = pl.DataFrame({"@key": [*keys[:own], *(f"row {at}" for at in range(len(after) - own))]})
    answers = {
        "alone": pl.Series(alone, dtype=pl.List(pl.Float32)),
        "after": pl.Series(after, dtype=pl.List(pl.Float32)),
        "tokens": pl.Series([tokens] * len(alone), dtype=pl.UInt32),
    }
    return Given(rows, answers, datasets={"anchors": pl.DataFrame({"@key": keys})})


def scores(given: Given, **options: Any) -> list[float | None]:
    return Nuggets(using=NANO, against=ANCHORS, **options).reduce(given).to_list()


def test_an_anchor_is_won_where_its_response_is_likelier_than_by_itself():
    alone = [[-1.0, -2.0], [-4.0], [-5.0], [-0.5]]
    after = [[-2.5, -4.0, -5.5, -0.25], [-9.0, -9.0, -9.0, -9.0], [0, 0, 0, 0]]
    assert scores(known(alone, after)) == [0.5, 0.0, 1.0]


def test_a_row_that_could_not_be_read_has_no_score():
    after: list[Floats | None] = [None, [-1.0], [float("nan")], [None]]
    assert scores(known([[-2.0]], after)) == [None, 1.0, None, None]


def test_an_anchor_without_a_response_is_left_out_or_by_the_script_never_won():
    given = known([[-2.0], None, [-2.0], []], [[-1.0, None, -3.0, None]])
    with pytest.warns(UserWarning, match="2 of 4 anchors have no response within them, and are left out"):
        assert scores(given) == [0.5]
    with pytest.warns(UserWarning, match="2 of 4 anchors have no response within them, and are never won"):
        assert scores(given, faithful=True) == [0.25]


def test_cut_anchors_and_anchors_among_the_rows_are_told():
    given = known([[-2.0], [-2.0]], [[-1.0, -1.0], [-1.0, -1.0]], tokens=300, own=1)
    with pytest.warns(UserWarning, match="anchors") as told:
        Nuggets(using=NANO, against=ANCHORS, faithful=True).reduce(given)
    assert [str(one.message) for one in told] == [
        "2 of 2 anchors are cut to 200 tokens",
        "1 of 2 anchors are scored as rows too, and each makes itself likelier",
    ]


def test_no_anchors_are_an_error():
    with pytest.raises(DataError, match="there are no anchors") as raised:
        scores(known([], [[]]))
    assert raised.value.code == "E565"


def test_anchors_without_any_response_are_an_error():
    with pytest.raises(DataError, match="none of the 2 anchors has a response within 512 tokens") as raised:
        scores(known([None, None], [[None, None]]))
    assert raised.value.code == "E564"


def test_the_anchors_by_themselves_are_read_as_they_are_after_a_row():
    for faithful in (False, True):
        asked = Nuggets(using=NANO, against=ANCHORS, faithful=faithful).requests()
        alone, after = asked["alone"], asked["after"]
        assert alone.want == Logprobs("response", padded=faithful)
        assert alone.of == ANCHORS
        assert after.want == Continued(ANCHORS, alone.view, padded=faithful)
        assert after.view.start == ("tokenizer" if faithful else "always")


# Against the definition, one pair at a time

ROWS = [
    {"instruction": "Name a city. ", "input": "", "output": " Oslo\n"},
    {"instruction": "Add the numbers.", "input": "1 2", "output": "3"},
    {"instruction": "Say hello twice.", "input": " ", "output": "hello hello"},
]
TASKS = [
    {"instruction": "Name a river.", "input": "", "output": "The Nile"},
    {"instruction": "Say hello.", "input": "twice", "output": " hello"},
    {"instruction": "Add 2 and 3.", "input": "", "output": "5 is the sum of the two numbers"},
    {"instruction": "Name a hill. " * 12, "input": "", "output": "Arthur's Seat"},
]
CAP = 90
Row = dict[str, str]


@pytest.fixture(scope="module")
def model() -> Any:
    return nano_model().eval()


def prompt(row: Row) -> str:
    given = f"\nInput:\n{row['input']}" if row["input"] else ""
    return f"Instruction:\n{row['instruction']}{given}\nResponse:\n"


def likelihood(model: Any, before: list[int], ids: list[int], seam: int) -> float:
    """Summed over the ids from the seam on, after all that comes before."""
    whole = torch.tensor([[*before, *ids]])
    with torch.no_grad():
        logs = model(whole).logits[0].log_softmax(-1)
    places = range(len(before) + seam, whole.shape[1])
    return sum(float(logs[at - 1, whole[0, at]]) for at in places)


def authors_score(model: Any, row: Row, tasks: list[Row]) -> float:
    """With a padding token in the vocabulary, no start token before a task, and texts stripped."""
    tokenizer, padded = nano_tokenizer(), copy.deepcopy(model)
    padded.resize_token_embeddings(padded.config.vocab_size + 1, mean_resizing=False)
    weights = padded.get_input_embeddings().weight.data
    weights[-1] = weights[:-1].mean(0)
    row, *tasks = ({name: text.strip() for name, text in each.items()} for each in (row, *tasks))
    example = tokenizer.encode(prompt(row) + row["output"])
    won = 0
    for task in tasks:
        seam = len(tokenizer.encode(prompt(task), add_special_tokens=False))
        ids = tokenizer.encode(prompt(task) + task["output"], add_special_tokens=False)[:CAP]
        won += likelihood(padded, example, ids, seam) > likelihood(padded, [], ids, seam)
    return won / len(tasks)


def corrected_score(model: Any, row: Row, tasks: list[Row]) -> float:
    tokenizer = nano_tokenizer()
    start = tokenizer.encode("")
    example = tokenizer.encode(prompt(row) + row["output"] + "\n\n")
    won = []
    for task in tasks:
        seam = len(tokenizer.encode(prompt(task), add_special_tokens=False))
        ids = tokenizer.encode(prompt(task) + task["output"], add_special_tokens=False)[: CAP - len(start)]
        if len(ids) > seam:
            won.append(likelihood(model, example, ids, seam) > likelihood(model, start, ids, seam))
    return sum(won) / len(won)


@pytest.mark.parametrize(
    ("faithful", "definition"), [(False, corrected_score), (True, authors_score)], ids=["default", "faithful"]
)
def test_scores_are_those_of_the_definition(
    faithful: bool, definition: Callable[..., float], model: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for name, rows in (("rows.jsonl", ROWS), ("tasks.jsonl", TASKS)):
        pl.DataFrame(rows).write_ndjson(name)
    text = f'score nuggets using nano against "tasks.jsonl" with max_tokens = {CAP}'
    text += ", faithful = true" if faithful else ""
    found = execute([("r.sel", text)], Settings(data="rows.jsonl", store=tmp_path / "store", write=False))
    assert read_rows("tasks.jsonl").frame.height == len(TASKS)
    assert found.rows["nuggets"].to_list() == [definition(model, row, TASKS) for row in ROWS]
