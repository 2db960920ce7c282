"""What `selrun cache` prints."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from selrun.compiler.wants import Logprobs, Template, View
from selrun.errors import StoreError
from selrun.runtime import cache
from selrun.runtime.passes import PassMeta, canonical, pass_key
from selrun.runtime.store import Store

ALPACA = View(Template("alpaca", "a", "b", "c"))
META = PassMeta(
    model="0123456789abcdef",
    tokenizer="t",
    view=canonical(ALPACA),
    want=canonical(Logprobs("response")),
    dtype="float32",
    version=1,
    label="tiny",
)
KEYS = pl.Series("key", ["a", "b", "c"])
FRAME = pl.DataFrame(
    {"key": KEYS, "answer": [1.0, 2.0, 3.0], "problem": pl.Series([None] * 3, dtype=pl.String)}
)


@pytest.fixture
def store(tmp_store: Path) -> Store:
    """A store with one pass of three rows and one model."""
    made = Store(tmp_store)
    made.write(pass_key(META), FRAME, META)
    made.publish("model", "f" * 32, lambda folder: _put(folder), {"label": "warmup(tiny, 5%)"})
    return made


def _put(folder: Path) -> None:
    (folder / "weights").write_bytes(bytes(1000))


def asked(meta: PassMeta, keys: pl.Series = KEYS) -> list[cache.Wanted]:
    return [cache.Wanted("perplexity on tiny", meta, keys)]


def test_an_empty_store_says_so(tmp_store: Path):
    assert cache.list_text(Store(tmp_store)) == f"the store at {tmp_store} is empty"


def test_a_pass_is_a_readable_line(store: Store):
    head, first, second = cache.list_text(store).splitlines()
    assert head.startswith(f"{store.root}: 1 pass, 1 artefact, ")
    assert first.split("  ")[1:8] == [
        pass_key(META)[:12],
        "tiny",
        "Logprobs(padded=False, span=response)",
        "prompt+response",
        "float32",
        "3 rows",
        f"{cache.size_text(store.info(pass_key(META)).bytes)}",
    ]
    assert second.split("  ")[1:4] == ["f" * 12, "model", "warmup(tiny, 5%)"]


def test_why_counts_what_is_stored(store: Store):
    assert cache.why_text(store, asked(META)) == "perplexity on tiny: all 3 rows stored"
    more = pl.Series("key", ["a", "b", "c", "d"])
    assert cache.why_text(store, asked(META, more)) == (
        "perplexity on tiny: 1 of 4 rows not stored\n"
        "  this pass is stored, but not for rows with their content"
    )


def test_why_names_the_first_field_that_differs_from_the_nearest_pass(store: Store):
    far = replace(META, model="x", dtype="bfloat16", version=3)
    store.write(pass_key(far), FRAME, far)
    wanted = replace(META, view=canonical(replace(ALPACA, limit=512)), dtype="bfloat16")
    assert cache.why_text(store, asked(wanted)) == (
        "perplexity on tiny: none of 3 rows stored\n"
        f"  nearest stored pass {pass_key(META)[:12]} differs in view.limit (1 more below)\n"
        "    view.limit: '512' wanted, 'None' stored\n"
        "    dtype: 'bfloat16' wanted, 'float32' stored"
    )


def test_why_of_an_empty_store(tmp_store: Path):
    assert cache.why_text(Store(tmp_store), asked(META)) == (
        "perplexity on tiny: none of 3 rows stored\n  the store holds no pass yet"
    )


def test_verify_names_what_is_damaged(store: Store):
    assert cache.verify_text(store) == "2 segments and artefacts read, none damaged"
    broken = next((store.root / "passes").rglob("*.parquet"))
    broken.write_bytes(b"nothing")
    assert cache.verify_text(store) == (
        "1 damaged and set aside; the next run that needs them makes them again\n"
        f"  {broken.relative_to(store.root)}"
    )


def test_prune_without_more_removes_leftovers_only(store: Store):
    assert cache.prune(store) == "0 passes and 0 artefacts removed, 0 B freed"
    assert len(store.passes()) == 1


def test_prune_by_age_counts_from_the_last_use(store: Store):
    assert cache.prune(store, older_than=timedelta(days=1)).startswith("0 passes")
    long_ago = time.time() - 90_000
    folder = store.root / "passes" / pass_key(META)
    for path in (folder / "pass.json", folder):
        os.utime(path, (long_ago, long_ago))
    assert cache.prune(store, older_than=timedelta(days=1)).startswith("1 pass and 0 artefacts")
    assert store.passes() == []


def test_prune_of_everything_empties_the_store(store: Store):
    assert cache.prune(store, everything=True).startswith("1 pass and 1 artefact removed")
    assert cache.list_text(store).endswith("is empty")


def test_prune_of_one_pass_by_the_beginning_of_its_key(store: Store):
    with pytest.raises(StoreError, match="no stored pass begins with 'zz'"):
        cache.prune(store, passkey="zz")
    assert cache.prune(store, passkey=pass_key(META)[:5]).startswith("1 pass and 0 artefacts")
    assert len(store.artefacts.all()) == 1


def test_an_age_is_a_number_and_a_unit():
    assert [cache.age(text) for text in ("45m", "12h", "30d", "2w")] == [
        timedelta(minutes=45),
        timedelta(hours=12),
        timedelta(days=30),
        timedelta(weeks=2),
    ]
    with pytest.raises(StoreError, match="cannot read 'yesterday' as an age"):
        cache.age("yesterday")
