"""Scores of the authors' own scripts, from reference runs beside the repository, against ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import selrun
from answers import NANO, given
from parity import authors
from parity.authors import Loops
from selrun.compiler.op import Adds
from selrun.compiler.templates import TEMPLATES
from selrun.compiler.wants import Tokens
from selrun.runtime import forward, models, tokens
from selrun.runtime.rows import read_rows
from selrun.stdlib.score.ifd import Ifd

ROWS = 48
"""How many of the reference's 96 rows its files of scores show."""
WINDOWS = [None, 512, 128, 96, 64]


@pytest.fixture(scope="session")
def alpaca(shared: Path) -> list[dict[str, Any]]:
    rows = json.loads((shared / "data" / "alpaca_random_5k.json").read_text())[:96]
    return [{name: row[name] for name in ("instruction", "input", "output")} for row in rows]


@pytest.fixture(scope="session")
def edge(shared: Path) -> list[dict[str, Any]]:
    """Eighteen rows made to be hard."""
    return json.loads((shared / "golden" / "edge_rows.json").read_text())


@pytest.fixture(scope="session")
def llama(shared: Path):
    return models.load(str(shared / "models" / "tiny-llama"), dtype="float32", device="cpu")


@pytest.fixture(scope="session")
def gpt2(shared: Path):
    return models.load(str(shared / "models" / "tiny-gpt2"), dtype="float32", device="cpu")


@pytest.fixture(scope="session")
def golden(shared: Path) -> Mapping[str, Any]:
    return json.loads((shared / "golden" / "cherry_ifd_tiny-llama.json").read_text())["fields"]


@pytest.fixture(scope="session")
def loops(shared: Path) -> Mapping[str, authors.Loops]:
    """The authors' loops over each tiny model, loaded without a line of ours."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folders = {name: shared / "models" / f"tiny-{name}" for name in ("llama", "gpt2")}
    return {
        name: authors.Loops(
            AutoTokenizer.from_pretrained(folder),
            AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval(),
        )
        for name, folder in folders.items()
    }


def column_of(op: Adds, rows: list[dict[str, Any]], model: Any) -> pl.Series:
    """The operation's column, every request run as a pass of its own."""
    frame = read_rows(rows).frame
    answers = {name: asked(request, frame, model) for name, request in op.requests().items()}
    return op.reduce(given(answers, **{"@row": frame["@row"]}))


def asked(request: Any, frame: pl.DataFrame, model: Any) -> pl.Series:
    sequences = tokens.encode(request.view, frame, model.tokenizer, model.card.context)
    if isinstance(request.want, Tokens):
        return sequences.counts(request.want.span)
    blocks = list(forward.sweep(model, sequences, [request.want]))
    found = {
        int(row): value for b in blocks for row, value in zip(b.rows, b.answers[request.want], strict=True)
    }
    dtype = None if found else pl.List(pl.Float32)
    return pl.Series([found.get(i) for i in range(frame.height)], dtype=dtype, strict=False)


def numbers(values: list[float | None]) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def compare(op: Ifd, rows: list[dict[str, Any]], model: Any, theirs: Loops) -> None:
    """Ours are the authors' values to a part in 100,000, and null exactly where theirs are none."""
    if op.variant == "superfiltering":
        expected = [theirs.superfiltering(row, op.max_tokens or 1024) for row in rows]
    else:
        script = authors.CHERRY[op.shown.name]
        expected = [theirs.cherry(row, script, op.max_tokens or 512) for row in rows]
    ours = column_of(op, rows, model).to_list()
    np.testing.assert_allclose(numbers(ours), numbers(expected), rtol=1e-5, atol=1e-7)


def faithful(name: str, window: int | None) -> Ifd:
    """The operation that stands for a script: Cherry's by its prompt's name."""
    if name == "superfiltering":
        return Ifd(using=NANO, variant="superfiltering", faithful=True, max_tokens=window)
    return Ifd(using=NANO, template=TEMPLATES[name], faithful=True, max_tokens=window)


SCRIPTS = (*authors.CHERRY, "superfiltering")


@pytest.mark.parametrize("window", [None, 128, 64])
@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_hard_rows_are_scored_and_skipped_as_by_the_scripts(
    family: str, name: str, window: int | None, edge: list, loops: Mapping[str, Loops],
    request: pytest.FixtureRequest,
):  # fmt: skip
    compare(faithful(name, window), edge, request.getfixturevalue(family), loops[family])


@pytest.mark.slow
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_every_row_is_scored_and_skipped_as_by_the_scripts(
    family: str, name: str, window: int | None, alpaca: list, loops: Mapping[str, Loops],
    request: pytest.FixtureRequest,
):  # fmt: skip
    compare(faithful(name, window), alpaca, request.getfixturevalue(family), loops[family])


def test_a_recipe_gives_the_scripts_scores(
    alpaca: list, edge: list, loops: Mapping[str, Loops], shared: Path, tmp_store: Path
):
    rows = alpaca[:12] + edge
    run = selrun.run(
        "score ifd using m with faithful = true, template = vicuna, max_tokens = 96",
        rows, models={"m": shared / "models" / "tiny-llama"}, store=tmp_store, device="cpu",
    )  # fmt: skip
    expected = [loops["llama"].cherry(row, authors.CHERRY["vicuna"], 96) for row in rows]
    np.testing.assert_allclose(numbers(run.rows["ifd"].to_list()), numbers(expected), rtol=1e-5, atol=1e-7)


def test_ifd_differs_from_the_scripts_only_where_a_merge_moves_their_seam(
    alpaca: list, llama: Any, golden: Mapping[str, Any]
):
    ours = numbers(column_of(Ifd(using=NANO), alpaca[:ROWS], llama).to_list())
    same = np.isclose(ours, numbers(golden["ifd"]), rtol=1e-5)
    clean = np.array(golden["boundary_clean_whole"]) & np.array(golden["boundary_clean_direct"])
    assert same.tolist() == clean.tolist()
    assert not clean.all()


def test_faithful_ifd_skips_rows_whose_prompt_fills_the_window(
    alpaca: list, llama: Any, golden: Mapping[str, Any]
):
    window = 48
    op = Ifd(using=NANO, faithful=True, max_tokens=window)
    ours = column_of(op, alpaca[:ROWS], llama)
    assert ours.is_null().to_list() == [q >= window for q in golden["prompt_len"]]


def test_rows_without_a_response_have_no_ifd(llama: Any):
    rows = [
        {"instruction": "Say nothing.", "input": "", "output": ""},
        {"instruction": "Go.", "input": "", "output": "Now."},
    ]
    for faithful in (False, True):
        ours = column_of(Ifd(using=NANO, faithful=faithful), rows, llama)
        assert ours.is_null().to_list() == [True, False]
