"""Anchors read behind a row that is laid once: the same sums as each pair read by itself, however it is run."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from models_for_tests import FAMILIES, VOCABULARY, loaded, rows
from recipes import few_rows, written
from selrun.compiler.values import Data
from selrun.compiler.wants import Continued, Template, View
from selrun.errors import ModelError
from selrun.runtime import sweeping
from selrun.runtime.forward import attention
from selrun.runtime.forward.attention import LONG_PARENT
from selrun.runtime.forward.body import Body
from selrun.runtime.forward.continued import Anchor, Anchors, anchors_of, continued, too_long
from selrun.runtime.models import LoadedModel
from selrun.runtime.nano import nano_tokenizer
from selrun.runtime.rows import read_rows
from selrun.runtime.run import Run, execute
from selrun.runtime.settings import Settings
from selrun.runtime.sweeping import SweepWork, SweepWorker
from selrun.runtime.tokens import Sequences

SP = Template("test", "{instruction}: {input} ", "{instruction} ", "", between="\n\n")
WANT = Continued(Data(key="anchors"), View(SP))
PADDED = Continued(Data(key="anchors"), View(SP), padded=True)


def some_anchors(*sizes: int, common: int = 0) -> Anchors:
    """Random tokens of which the last third is response; a size of 0 is an anchor without one."""
    draws = np.random.Generator(np.random.PCG64(5))
    head = draws.integers(0, VOCABULARY, common)
    found = [
        Anchor(
            place,
            np.concatenate([head, draws.integers(0, VOCABULARY, size - common)]),
            np.arange(size * 2 // 3, size),
        )
        for place, size in enumerate(sizes)
        if size
    ]
    return Anchors(len(sizes), tuple(sorted(found, key=lambda anchor: -anchor.fed)))


ANCHORS = some_anchors(9, 17, 0, 1, 17, 16, 19, 30)


def one_by_one(network: Any, sequences: Sequences, anchors: Anchors, padded: bool) -> list[list[float]]:
    """Each row with each anchor in a pass of their own; NaN where there is nothing to read."""
    found: list[list[float]] = []
    for start, stop in zip(sequences.offsets[:-1], sequences.offsets[1:], strict=True):
        sums = [float("nan")] * anchors.count
        for anchor in anchors.usable if stop > start else ():
            ids = torch.from_numpy(np.concatenate([sequences.ids[start:stop], anchor.ids]).astype(np.int64))
            with torch.no_grad():
                logits = network(ids[None], use_cache=False).logits[0]
            if padded:
                logits = torch.cat([logits, logits.mean(-1, keepdim=True)], -1)
            at = torch.from_numpy(anchor.said) + int(stop - start)
            sums[anchor.place] = float(torch.log_softmax(logits, -1)[at - 1, ids[at]].double().sum())
        found.append(sums)
    return found


def answers(model: LoadedModel, sequences: Sequences, want: Continued = WANT, **options: Any) -> list[Any]:
    some = np.flatnonzero(sequences.lengths)
    block = continued(model, sequences, some, want, ANCHORS, **options)
    found: list[Any] = [[None] * ANCHORS.count] * len(sequences)
    for row, sums in zip(block.rows.tolist(), block.answers[want].to_list(), strict=True):
        found[row] = sums
    return found


def assert_near(found: list[Any], expected: list[list[float]]) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        known = [float("nan") if value is None else value for value in ours]
        assert known == pytest.approx(theirs, rel=1e-5, abs=1e-5, nan_ok=True)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_sum_is_that_of_the_pair_read_alone(family: str) -> None:
    model, sequences = loaded(family), rows()
    expected = one_by_one(copy.deepcopy(model.model), sequences, ANCHORS, False)
    for budget in (None, 60, 1):
        assert_near(answers(model, sequences, token_budget=budget), expected)


@pytest.mark.parametrize("family", ["llama", "gpt2", "mistral"])
def test_anchors_behind_a_long_row_are_as_exact(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, sequences = loaded(family), rows((LONG_PARENT + 30, LONG_PARENT))
    joined: list[attention.Behind] = []
    own = attention._joined

    def counting(group: attention.Behind, *given: Any) -> torch.Tensor:
        joined.append(group)
        return own(group, *given)

    monkeypatch.setattr(attention, "_joined", counting)
    expected = one_by_one(copy.deepcopy(model.model), sequences, ANCHORS, False)
    assert_near(answers(model, sequences), expected)
    assert bool(joined) == (family != "mistral")  # whose window ends before the parent does


def test_a_padding_token_takes_part_in_the_softmax() -> None:
    model, sequences = loaded("llama"), rows((12, 5))
    expected = one_by_one(copy.deepcopy(model.model), sequences, ANCHORS, True)
    assert_near(answers(model, sequences, PADDED), expected)


def test_a_row_is_laid_once_for_all_anchors() -> None:
    model, sequences = loaded("llama"), rows((40, 7))
    block = continued(model, sequences, np.arange(2), WANT, ANCHORS)
    assert block.tokens == 47 + 2 * ANCHORS.tokens == 47 + 2 * (8 + 16 + 0 + 16 + 15 + 18 + 29)


@pytest.mark.parametrize("sizes", [(9, 17, 6, 6), (9,), (5, 5)])
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_what_all_anchors_begin_with_is_laid_with_the_row(family: str, sizes: tuple[int, ...]) -> None:
    model, sequences, anchors = loaded(family), rows((12, 5)), some_anchors(*sizes, common=5)
    expected = one_by_one(copy.deepcopy(model.model), sequences, anchors, False)
    block = continued(model, sequences, np.arange(2), WANT, anchors)
    assert_near(block.answers[WANT].to_list(), expected)
    padded = sum(12 + size - 1 + 5 + size - 1 for size in sizes)
    assert block.tokens == (padded if family == "gemma2" else 17 + 2 * anchors.tokens)


def test_anchors_have_in_common_what_all_of_them_are_read_of() -> None:
    assert [some_anchors(*sizes, common=5).common for sizes in ((9, 17, 6), (5, 5), (9,))] == [5, 4, 8]
    assert some_anchors(9, 17, 6, common=5).tokens == 5 + 3 + 11 + 0
    assert some_anchors().common == 0


def test_where_memory_runs_out_the_packs_are_halved() -> None:
    model, sequences = loaded("llama"), rows((20, 20, 20))
    expected = one_by_one(copy.deepcopy(model.model), sequences, ANCHORS, False)
    Body.prepared(model)
    asked: list[int] = []

    def refuse(module: Any, positional: Any, named: dict[str, Any]) -> None:
        asked.append(named["input_ids"].numel())
        if asked[-1] > 90:
            raise torch.OutOfMemoryError("CUDA out of memory")

    model.model.base_model.register_forward_pre_hook(refuse, with_kwargs=True)
    assert_near(answers(model, sequences), expected)
    assert max(asked) > 200
    assert asked[-1] <= 90


@pytest.mark.parametrize("budget", [None, 60])
def test_pairs_on_both_sides_of_a_bend_share_no_pack(budget: int | None) -> None:
    model, sequences = loaded("phi3"), rows((25, 12, 5, 24, 23))
    expected = one_by_one(copy.deepcopy(model.model), sequences, ANCHORS, False)
    assert_near(answers(model, sequences, token_budget=budget), expected)


def test_a_row_whose_numbers_overflow_has_a_reason_and_no_sums() -> None:
    model, sequences = loaded("llama"), rows((12, 5))
    sequences.ids[sequences.ids == 299], sequences.ids[3] = 298, 299
    anchors = some_anchors(9, 0)
    Body.prepared(model)
    model.model.get_input_embeddings().weight[299] = float("inf")
    block = continued(model, sequences, np.arange(2), WANT, anchors)
    assert block.answers[WANT].is_null().to_list() == [True, False]
    assert block.answers[WANT][1].is_null().to_list() == [False, True]
    assert sequences.late == {0: "the model's numbers are not finite in float32"}
    reasons = sweeping.told([None, None], block, WANT, sequences)
    assert reasons == ["the model's numbers are not finite in float32", None]


# Anchors as tokens


@pytest.fixture
def anchor_rows(tmp_path: Path) -> pl.DataFrame:
    some = [
        {"instruction": "Add", "input": "1 2", "output": "3"},
        {"instruction": "Name it", "input": "", "output": ""},
        {"instruction": "Go", "input": "", "output": "north"},
    ]
    return read_rows(str(written(some, tmp_path / "anchors.jsonl"))).frame


def text_of(anchor: Anchor) -> tuple[str, str]:
    """What is read, and which part of it is response."""
    tokenizer = nano_tokenizer()
    return tokenizer.decode(anchor.ids.tolist()), tokenizer.decode(anchor.ids[anchor.said].tolist())


def test_the_start_token_makes_way_for_what_parts_the_row_from_the_anchor(anchor_rows: pl.DataFrame) -> None:
    anchors = anchors_of(WANT, anchor_rows, nano_tokenizer(), 2048)
    assert anchors.count == 3
    assert {a.place: text_of(a) for a in anchors.usable} == {
        0: ("\n\nAdd: 1 2 3", "3"),
        2: ("\n\nGo north", "north"),
    }


def test_anchors_are_cut_as_their_view_says(anchor_rows: pl.DataFrame) -> None:
    want = Continued(Data(key="anchors"), View(SP, limit=6))
    anchors = anchors_of(want, anchor_rows, nano_tokenizer(), 2048)
    assert [text_of(a) for a in anchors.usable] == [("\n\nGo no", "no")]


def test_an_anchor_that_leaves_no_room_is_an_error(anchor_rows: pl.DataFrame) -> None:
    with pytest.raises(ModelError, match="an anchor of 12 tokens leaves no room for a row in") as raised:
        anchors_of(WANT, anchor_rows, nano_tokenizer(), 11)
    assert raised.value.code == "E563"


def test_rows_fit_beside_the_longest_anchor_or_not_at_all() -> None:
    sequences = rows((34, 35, 5, 0))
    assert too_long(sequences, ANCHORS, 64).tolist() == [False, True, False, False]
    assert not too_long(sequences, ANCHORS, None).any()


# Whole runs

ROWS = few_rows(14, 110)
LINE = 'score nuggets using nano against "anchors.jsonl"'


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    written(ROWS[:10], tmp_path / "rows.jsonl")
    written(ROWS[10:], tmp_path / "anchors.jsonl")
    return tmp_path


def run(text: str = LINE, store: str = "store", **settings: Any) -> Run:
    chosen = Settings(data="rows.jsonl", store=Path(store), write=False, **settings)
    return execute([("recipe.sel", text)], chosen)


def forwarded(found: Run) -> int:
    return sum(sweep["rows"] for sweep in found.manifest["sweeps"])


def test_a_second_run_reads_nothing(here: Path) -> None:
    first = run()
    assert forwarded(first) == 10 + 4 + 4
    assert forwarded(again := run()) == 0
    assert again.rows.equals(first.rows)


def test_anchors_are_known_by_what_they_hold(here: Path) -> None:
    first = run()
    (here / "anchors.jsonl").rename(here / "others.jsonl")
    assert forwarded(run(LINE.replace("anchors", "others"))) == 0
    assert forwarded(run('score nuggets using nano against (from "others.jsonl" | sort by len(id))')) == 0
    written(ROWS[:9:-1], here / "anchors.jsonl")
    turned = run()
    assert forwarded(turned) == 10
    assert turned.rows["nuggets"].equals(first.rows["nuggets"])


def test_what_travels_to_worker_processes_gives_the_same(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = SweepWork.open

    def travelled(self: SweepWork, device: str) -> SweepWorker:
        return opened(pickle.loads(pickle.dumps(self)), device)

    expected = run().rows
    monkeypatch.setattr(SweepWork, "open", travelled)
    assert run(store="apart").rows.equals(expected)


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "FIRST_SHARD_TOKENS", 300)
    monkeypatch.setattr(sweeping, "SHARD_TOKENS", (300, 300))


def test_a_run_that_was_stopped_goes_on_where_it_was(
    here: Path, small_shards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, done = run(store="whole"), 0
    own = SweepWorker.continued

    def stopping(self: SweepWorker, *given: Any) -> Any:
        nonlocal done
        done += 1
        if done == 3:
            raise KeyboardInterrupt
        return own(self, *given)

    monkeypatch.setattr(SweepWorker, "continued", stopping)
    with pytest.raises(KeyboardInterrupt):
        run()
    monkeypatch.setattr(SweepWorker, "continued", own)
    resumed = run()
    assert 0 < forwarded(resumed) < forwarded(whole)
    assert resumed.rows.equals(whole.rows)


def test_rows_that_choose_the_anchors_are_read_before(here: Path) -> None:
    chosen = "(diversify medoids(2, of = whole))"
    found = run(f"score nuggets using nano against {chosen} with template = alpaca")
    assert found.rows["nuggets"].null_count() == 0
    assert len(found.manifest["sweeps"]) == 4


def test_a_row_that_is_too_long_beside_the_anchors_has_no_score(here: Path) -> None:
    long = {"instruction": "Say a", "input": "", "output": "a" * 1990}
    written([ROWS[0], long], here / "rows.jsonl")
    found = run()
    assert found.rows["nuggets"].is_null().to_list() == [False, True]
    (step,) = (step for step in found.manifest["steps"] if step["title"].startswith("score nuggets"))
    assert step["notes"]["no value"] == {
        "the row and the longest anchor do not fit into the model's context together": 1
    }
