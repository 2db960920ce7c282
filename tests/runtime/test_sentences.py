"""Sentences as responses of their own, and what is asked of them added up."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from headed_models import saved_encoder_decoder
from selrun.errors import ModelError
from selrun.runtime import exchanges
from selrun.runtime.rows import read_rows
from selrun.runtime.run import execute
from selrun.runtime.settings import Settings

ROWS: list[dict[str, Any]] = [
    {"instruction": "Is this a natural dialogue?", "output": "Yes this. Is natural? In the dialogue"},
    {"instruction": "Say it.", "output": "Yes"},
    {"instruction": "Say it.", "output": " "},
    {"instruction": "Go on.", "output": "No. Yes.", "history": [["Hello. You?", "Is this. A natural."]]},
]
needs_nltk = pytest.mark.skipif(find_spec("nltk") is None, reason="the extra `sentences` is not installed")


def at_marks(text: str) -> list[str]:
    """Pieces that end in a mark, as a stand-in for what NLTK's model finds in these rows."""
    return text.replace(". ", ".|").replace("? ", "?|").split("|")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "splitter", lambda: at_marks)


@pytest.mark.usefixtures("found")
def test_a_sentence_is_a_response_after_everything_before_it() -> None:
    frame = read_rows(ROWS).frame
    shown = exchanges.sentences(frame)
    assert shown.row.to_list() == [0, 0, 0, 1, 2, 3, 3]
    assert shown.frame["@response"].to_list() == [
        "Yes this.", "Is natural?", "In the dialogue", "Yes", " ", "No.", "Yes.",
    ]  # fmt: skip
    left = shown.frame.drop("@response")
    assert left.equals(frame[shown.row].drop("@response"))


@pytest.mark.usefixtures("found")
def test_engagingness_is_added_up_over_sentences_where_faithful(tmp_path: Path) -> None:
    model = saved_encoder_decoder(tmp_path / "model")

    def scored(recipe: str, rows: list[dict[str, Any]]) -> list[float | None]:
        (tmp_path / "rows.json").write_text(json.dumps(rows), "utf-8")
        settings = Settings(
            data=tmp_path / "rows.json", models={"m": str(model)}, store=tmp_path / "store", write=False
        )
        return execute([("r.sel", recipe)], settings).rows["unieval"].to_list()

    alone = [
        [{**row, "output": sentence} for sentence in at_marks(row["output"])]
        for row in ROWS
        if row["output"] != " "
    ]
    each = [scored("score unieval(engagingness) using m", rows) for rows in alone]
    sums = [sum(value or 0.0 for value in values) for values in each]
    summed = scored("score unieval(engagingness, faithful = true) using m", ROWS)
    assert summed == pytest.approx([sums[0], sums[1], None, sums[2]], abs=1e-6)
    whole = scored("score unieval(engagingness) using m", ROWS)
    assert (whole[1], whole[2]) == (pytest.approx(summed[1]), None)
    assert whole[0] != pytest.approx(summed[0])
    other = "score unieval(coherence{}) using m"
    assert scored(other.format(", faithful = true"), ROWS) == scored(other.format(""), ROWS)


@pytest.mark.skipif(find_spec("nltk") is not None, reason="the extra `sentences` is installed")
def test_what_finds_sentences_is_asked_for_by_name() -> None:
    with pytest.raises(ModelError) as raised:
        exchanges.sentences(read_rows(ROWS).frame)
    assert (raised.value.code, raised.value.help[0]) == (
        "E569",
        'install it: `pip install "selrun[sentences]"`',
    )


@needs_nltk
def test_sentences_are_those_of_nltks_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk  # pyright: ignore[reportMissingImports]

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    with pytest.raises(ModelError) as raised:
        exchanges.sentences(read_rows(ROWS).frame)
    assert (raised.value.code, raised.value.help[0]) == (
        "E569",
        "install it: `python -m nltk.downloader punkt_tab`",
    )
    folder = tmp_path / "tokenizers" / "punkt_tab" / "english"
    folder.mkdir(parents=True)
    for name in ("abbrev_types.txt", "collocations.tab", "sent_starters.txt", "ortho_context.tab"):
        (folder / name).write_text("dr\n" if name.startswith("abbrev") else "", "utf-8")
    row = {"instruction": "Who?", "output": "Dr. Smith came.  He sat!\n\nWhy?"}
    said = exchanges.sentences(read_rows([row]).frame).frame["@response"]
    assert said.equals(pl.Series("@response", ["Dr. Smith came.", "He sat!", "Why?"]))
