"""Scores of the authors' own scripts, from reference runs beside the repository, against ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from answers import NANO, given
from selrun.compiler.op import Adds
from selrun.compiler.templates import ALPACA
from selrun.compiler.wants import Tokens
from selrun.runtime.rows import read_rows
from selrun.stdlib.embed.vector import Vector
from selrun.stdlib.score.ifd import Ifd
from selrun.stdlib.score.perplexity import Perplexity

models = pytest.importorskip("selrun.runtime.models")
tokens = pytest.importorskip("selrun.runtime.tokens")
forward = pytest.importorskip("selrun.runtime.forward")
if not hasattr(forward, "sweep"):
    pytest.skip("this version has no forward pass", allow_module_level=True)

ROWS = 48


@pytest.fixture(scope="session")
def alpaca(shared: Path) -> list[dict[str, Any]]:
    return json.loads((shared / "data" / "alpaca_random_5k.json").read_text())[:96]


@pytest.fixture(scope="session")
def llama(shared: Path):
    return models.load(str(shared / "models" / "tiny-llama"), dtype="float32", device="cpu")


@pytest.fixture(scope="session")
def gpt2(shared: Path):
    return models.load(str(shared / "models" / "tiny-gpt2"), dtype="float32", device="cpu")


@pytest.fixture(scope="session")
def golden(shared: Path) -> Mapping[str, Any]:
    return json.loads((shared / "golden" / "cherry_ifd_tiny-llama.json").read_text())["fields"]


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
    return pl.Series([found.get(i) for i in range(frame.height)], strict=False)


def numbers(values: list[float | None]) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def test_faithful_ifd_is_that_of_cherrys_scripts(alpaca: list, llama: Any, golden: Mapping[str, Any]):
    ours = column_of(Ifd(using=NANO, faithful=True), alpaca[:ROWS], llama)
    np.testing.assert_allclose(numbers(ours.to_list()), numbers(golden["ifd"]), rtol=1e-5)


def test_faithful_ifd_is_that_of_superfilterings_scripts(alpaca: list, gpt2: Any, shared: Path):
    text = (shared / "golden" / "superfiltering_tiny-gpt2.json").read_text()
    op = Ifd(using=NANO, variant="superfiltering", faithful=True)
    ours = column_of(op, alpaca[:ROWS], gpt2)
    np.testing.assert_allclose(
        numbers(ours.to_list()), numbers(json.loads(text)["fields"]["ifd_ppl"]), rtol=1e-5
    )


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


def test_prompt_perplexity_is_that_of_cherrys_pre_experience(alpaca: list, llama: Any, shared: Path):
    text = (shared / "golden" / "cherry_pre_tiny-llama.json").read_text()
    ours = column_of(Perplexity(using=NANO, of="prompt", max_tokens=512), alpaca, llama)
    np.testing.assert_allclose(numbers(ours.to_list()), json.loads(text)["fields"]["ppl_prompt"], rtol=1e-5)


def test_prompt_vectors_are_those_of_cherrys_pre_experience(alpaca: list, llama: Any, shared: Path):
    expected = np.load(shared / "golden" / "cherry_pre_tiny-llama_emb.npy")
    ours = column_of(Vector(using=NANO, template=ALPACA), alpaca, llama)
    np.testing.assert_allclose(np.stack(ours.to_list()), expected, rtol=1e-4, atol=1e-5)
