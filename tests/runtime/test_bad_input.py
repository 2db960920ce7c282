"""Bad input: each kind has its message and its exit code, loses nothing, and the next run goes on."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from recipes import few_rows, written
from selrun.compiler.op import Answers
from selrun.errors import DataError, ModelError, RecipeError, SelrunError, StoreError
from selrun.runtime import api, durable
from selrun.runtime.events import RowsDropped, Warned
from selrun.runtime.rows import read_rows
from selrun.runtime.run import Run

ROWS = few_rows(8, 140)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with good rows in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    written(ROWS, tmp_path / "rows.jsonl")
    return tmp_path


def refused(text: str, data: Any = "rows.jsonl", **settings: Any) -> SelrunError:
    with pytest.raises(SelrunError) as found:
        api.run(text, data, **settings)
    assert found.value.help, "it does not say what to do"
    return found.value


def reasons(run: Run) -> int:
    return sum(event.count for event in run.events if isinstance(event, RowsDropped))


# Recipes

RECIPES = {
    "E101": "score ifd usng nano",
    "E201": "ranks 5",
    "E202": "score idf using nano",
    "E203": "top 5 by idf",
    "E204": "score ifd using gtp2",
    "E304": "score ifd(foo = 1) using nano",
    "E209": "score ifd using nano with template = foo",
    "E301": "score ifd using 5",
    "E302": "top 150% by len(response)",
    "E207": "method again() = again()\nagain()",
    "E208": 'use "c.sel" as c\ntop 1 by len(prompt)',
    "E515": 'use "none.sel" as c\ntop 1 by len(prompt)',
    "E501": 'from "none.jsonl" | top 1 by len(prompt)',
}


@pytest.mark.parametrize(("code", "text"), RECIPES.items(), ids=RECIPES)
def test_a_recipe_with_a_problem_is_not_run(here: Path, store: Path, code: str, text: str):
    Path("c.sel").write_text('use "d.sel" as d')
    Path("d.sel").write_text('use "c.sel" as c')
    error = refused(text, store=store, out="chosen.jsonl")
    assert isinstance(error, RecipeError)
    assert (error.code, error.exit_code) == (code, 1)
    assert not Path("chosen.jsonl").exists()


# Files

FILES = {
    "empty": ("rows.jsonl", b"", "E507"),
    "no rows": ("rows.json", b"[]", "E507"),
    "a picture": ("rows.json", b"\x89PNG\r\n\x1a\n\x00\x00", "E503"),
    "no parquet": ("rows.parquet", b"not parquet at all", "E503"),
    "a cut line": ("rows.jsonl", b'{"instruction": "a", "output": "b"}\n{"instruction": "c", \n', "E504"),
    "no response at all": ("rows.jsonl", b'{"instruction": "a"}\n', "E506"),
    "not there": ("none.jsonl", None, "E501"),
}


@pytest.mark.parametrize(("name", "content", "code"), FILES.values(), ids=FILES)
def test_a_file_that_holds_no_rows(here: Path, store: Path, name: str, content: bytes | None, code: str):
    if content is not None:
        Path(name).write_bytes(content)
    error = refused("score length | top 1", name, store=store, out="chosen.jsonl")
    assert isinstance(error, DataError)
    assert (error.code, error.exit_code) == (code, 2)
    assert not Path("chosen.jsonl").exists()
    assert content is None or Path(name).read_bytes() == content


PLACES = {
    'sample 2 | save "a\\u0000.jsonl"': "E601",
    'sample 2 | save "s3://bucket/a.jsonl"': "E601",
    'sample 2 | save "~/a.jsonl"': "E408",
    'use "a\\u0000.sel" as other\nsample 2': "E515",
    f'from "{"x" * 300}.jsonl" | sample 2': "E501",
    'from "~nobody-of-that-name/a.jsonl" | sample 2': "E501",
}


@pytest.mark.parametrize(("text", "code"), PLACES.items(), ids=range(len(PLACES)))
def test_a_place_that_cannot_be_is_said(here: Path, store: Path, text: str, code: str):
    assert refused(text, store=store).code == code


@pytest.mark.parametrize("out", ["s3://bucket/a.jsonl", "a\0.jsonl"])
def test_a_result_is_written_to_this_machine(here: Path, store: Path, out: str):
    assert refused("sample 2", store=store, out=out).code == "E601"


def test_the_home_folder_may_be_written_short(here: Path, store: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(here))
    run = api.run('sample 3 | save "~/a.jsonl"', "rows.jsonl", store=store, out="~/b.jsonl")
    assert run.outputs == (here / "a.jsonl", here / "b.jsonl")
    assert all(path.with_name(f"{path.name}.manifest.json").exists() for path in run.outputs)
    assert refused("sample 3", "~/a.jsonl", store=store, out="~/a.jsonl").code == "E412"


def test_a_folder_holds_the_rows_and_not_what_runs_wrote_beside_them(here: Path, store: Path):
    api.run("sample 3", "rows.jsonl", store=store, out="few/rows.jsonl")
    assert api.run("sample 9", "few", store=store).rows.height == 3
    assert api.run("sample 9", "few/*", store=store).rows.height == 3


def test_a_file_is_recognised_by_its_content(here: Path, store: Path):
    Path("rows.csv").write_bytes(Path("rows.jsonl").read_bytes())
    assert api.run("score length | top 3", "rows.csv", store=store).rows.height == 3


def test_bad_lines_are_named_or_skipped_and_counted(here: Path, store: Path):
    good = [json.dumps(row) for row in ROWS[:3]]
    Path("rows.jsonl").write_text("\n".join((good[0], '{"instruction": "c"', good[1], "42", good[2])))
    error = refused("score length | top 1", store=store)
    assert "2 lines" in error.headline or "line 2" in error.headline
    run = api.run("score length | top 1", "rows.jsonl", store=store, on_bad_row="skip", out="one.jsonl")
    assert [bad["line"] for bad in run.manifest["skipped"]] == [2, 4]
    assert (run.manifest["steps"][0]["rows_in"], run.manifest["steps"][0]["rows_out"]) == (5, 3)
    assert reasons(run) == 4


def test_rows_without_a_response_have_no_score_and_are_counted(here: Path, store: Path):
    rows = [*ROWS, {"instruction": "Say nothing.", "input": "", "output": ""}]
    run = api.run("score ifd using nano | top 100", rows, store=store)
    assert run.rows.height == 8
    assert run.manifest["steps"][1]["without_value"] == 1


def test_copies_have_ids_of_their_own(here: Path, store: Path):
    run = api.run("score ifd using nano | sort by ifd", [*ROWS, *ROWS[:3]], store=store)
    assert run.rows.height == run.ids.n_unique() == 11


def test_ids_of_the_file_may_collide(here: Path, store: Path):
    run = api.run("top 100 by len(response)", [{**row, "id": "same"} for row in ROWS], store=store)
    assert run.ids.n_unique() == 8
    assert run.rows["id"].to_list() == ["same"] * 8


# Numbers

ODD = "derive x = if(len(response) > 40, 0 / 0, len(response))"
BY = ("x", "-x", "rank(x)", "-rank(x)", "z(x)", "minmax(x)", "mean(x) - x", "x + 1", "log(x)")


@pytest.mark.parametrize("verb", ["top", "bottom"])
@pytest.mark.parametrize("by", BY)
def test_what_is_no_number_is_neither_first_nor_last(here: Path, store: Path, verb: str, by: str):
    run = api.run(f"{ODD} | {verb} 3 by {by}", "rows.jsonl", store=store)
    assert all(x is not None and x == x for x in run.rows["x"].to_list())


def test_what_is_no_number_is_counted(here: Path, store: Path):
    run = api.run(f"{ODD} | top 100 by x", "rows.jsonl", store=store, out="chosen.jsonl")
    long = sum(len(row["output"]) > 40 for row in ROWS)
    assert run.manifest["steps"][1]["without_value"] == long > 0
    history = pl.read_parquet("chosen.jsonl.history.parquet")
    told = history.filter(~pl.col("kept"))["dropped"].to_list()
    assert [entries[0]["reason"] for entries in told] == ["no `x` score"] * long


@pytest.mark.parametrize("order", ["sort by x", "sort by x with descending = true", "sort by -x"])
def test_what_is_no_number_is_sorted_last(here: Path, store: Path, order: str):
    found = api.run(f"{ODD} | {order}", "rows.jsonl", store=store).rows["x"]
    assert found.is_null().to_list() == sorted(found.is_null().to_list())


@pytest.mark.parametrize("condition", ["x > 0", "x < 1000", "not (x < 0)", "x != 3"])
def test_what_is_no_number_fulfils_no_condition(here: Path, store: Path, condition: str):
    rows = [{**row, "x": float("nan") if n % 2 else float(n)} for n, row in enumerate(ROWS)]
    found = api.run(f"filter {condition}", pl.DataFrame(rows), store=store).rows["x"]
    assert 0 < len(found) <= 4
    assert not found.is_nan().any()


def test_no_number_at_all_is_an_error(here: Path, store: Path):
    assert refused("derive x = 0 / 0 | top 2 by x", store=store).code == "E524"


def test_equal_scores_keep_the_order_of_the_rows(here: Path, store: Path):
    run = api.run("derive x = 1 | top 3 by x", "rows.jsonl", store=store)
    assert run.rows["instruction"].to_list() == [row["instruction"] for row in ROWS[:3]]


# Amounts

AMOUNTS = {
    "more clusters than rows": ("diversify kmeans(50) using nano | top 1 by len(prompt)", "E520"),
    "more covering rows than rows": ("diversify kcenter(100) using nano", "E522"),
    "a share of no row": ("top 1% by len(prompt)", "E521"),
    "a sample of no row": ("sample 1%", "E521"),
    "a choice from no rows": ("filter len(prompt) > 100000 | top 5 by len(prompt)", "E521"),
    "a warm-up on no row": ("score ifd using warmup(nano, 1%)", "E453"),
}


@pytest.mark.parametrize(("text", "code"), AMOUNTS.values(), ids=AMOUNTS)
def test_an_amount_that_cannot_be_had(here: Path, store: Path, text: str, code: str):
    error = refused(text, store=store, out="chosen.jsonl")
    assert (error.code, error.exit_code) == (code, 2)
    assert not Path("chosen.jsonl").exists()


@pytest.mark.parametrize("text", ["top 100 by len(prompt)", "sample 100"])
def test_a_count_above_the_rows_keeps_them_all(here: Path, store: Path, text: str):
    assert api.run(text, "rows.jsonl", store=store).rows.height == 8


def test_clusters_may_be_more_than_distinct_rows(here: Path, store: Path):
    run = api.run("diversify kmeans(3) using nano | top 2 by len(prompt)", [ROWS[0]] * 6, store=store)
    assert run.rows.height == 2
    told = [event for event in run.events if isinstance(event, Warned) and event.code == "W520"]
    assert [event.text for event in told] == [
        "`diversify kmeans(3) using nano`: kmeans(3) found only 1 clusters: "
        "there are fewer distinct vectors than clusters"
    ]


# Models


def test_texts_longer_than_the_context_are_cut_or_counted(here: Path, store: Path):
    rows = [*ROWS, {**ROWS[0], "output": "word " * 600}, {**ROWS[0], "instruction": "word " * 600}]
    run = api.run("score ifd using nano with max_tokens = 400", rows, store=store)
    values = run.rows["ifd"].to_list()
    assert values[8] is not None
    assert values[9] is None
    assert run.manifest["steps"][1]["without_value"] == 1
    assert [sweep["failed"] for sweep in run.manifest["sweeps"]] == [1, 1]


def test_a_tokenizer_without_pad_and_start(here: Path, store: Path):
    from selrun.runtime.nano import nano_model, nano_tokenizer
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    plain = Tokenizer.from_str(nano_tokenizer().backend_tokenizer.to_str())
    plain.post_processor = None  # type: ignore[assignment]
    nano_model().save_pretrained("bare")
    PreTrainedTokenizerFast(tokenizer_object=plain, eos_token="</s>").save_pretrained("bare")
    run = api.run("score ifd using bare | score entropy", "rows.jsonl", store=store, models={"bare": "bare"})
    assert run.rows["ifd"].null_count() == run.rows["entropy"].null_count() == 0
    warm = "score ifd using warmup(bare, 50%, batch = 4)"
    assert api.run(warm, "rows.jsonl", store=store, models={"bare": "bare"}).rows["ifd"].null_count() == 0


def damaged(folder: Path, what: str) -> None:
    from selrun.runtime.nano import save_nano

    save_nano(folder)
    weights = folder / "model.safetensors"
    if what == "cut":
        weights.write_bytes(weights.read_bytes()[:5000])
    elif what == "none":
        weights.unlink()
    else:
        (folder / "config.json").write_text("{")


@pytest.mark.parametrize("what", ["cut", "none", "config"])
def test_weights_that_do_not_load(here: Path, store: Path, what: str):
    damaged(here / "broken", what)
    error = refused(
        "score ifd using broken | top 2", store=store, models={"broken": "./broken"}, out="chosen.jsonl"
    )
    assert isinstance(error, ModelError | RecipeError)
    assert error.code.startswith("E43")
    assert "broken" in str(error)
    assert not Path("chosen.jsonl").exists()


def test_a_model_that_is_not_there_has_no_substitute(here: Path, store: Path):
    error = refused('score ifd using "nobody/nothing"', store=store)
    assert error.code.startswith("E43")


def test_a_score_that_no_row_has_is_told(here: Path, store: Path):
    rows = [{"instruction": f"Question {n}", "output": ""} for n in range(8)]
    run = api.run("score loss using nano", rows, store=store)
    told = [event.text for event in run.events if isinstance(event, Warned) and event.code == "W521"]
    assert told == ["`score loss using nano` gave none of the 8 rows a value: no response"]


def test_an_operation_that_fails_is_named(here: Path, store: Path, monkeypatch: pytest.MonkeyPatch):
    from selrun.stdlib.score.entropy import Entropy

    def broken(self: object, known: object) -> pl.Series:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(Entropy, "reduce", broken)
    error = refused("score entropy using nano | top 2", store=store)
    assert (error.code, error.headline.partition(":")[0]) == ("E530", "`score entropy using nano` failed")
    assert "Entropy" in error.notes[0]


def test_an_operation_that_fails_on_one_row_names_the_row(
    here: Path, store: Path, monkeypatch: pytest.MonkeyPatch
):
    from selrun.stdlib.score.length import Length

    def broken(self: object, known: Answers) -> pl.Series:
        lengths = known.column("response").str.len_chars()
        if lengths.max() == lengths_of_all.max():
            raise ValueError("too long")
        return lengths

    rows = read_rows("rows.jsonl").frame
    lengths_of_all = rows["@response"].str.len_chars()
    longest = rows["@id"][lengths_of_all.arg_max()]
    monkeypatch.setattr(Length, "reduce", broken)
    error = refused("score length | top 2", store=store)
    assert error.headline == "`score length` failed: ValueError: too long"
    assert error.notes[0].endswith(f"it fails on the row {longest} by itself")


# Store and disk


def test_a_full_disk_loses_nothing(here: Path, monkeypatch: pytest.MonkeyPatch):
    text, where = "score ifd using nano | score entropy | top 2 by ifd", here / "own"
    whole = durable.write_whole
    count = 0

    def full(target: Path, content: bytes | memoryview) -> None:
        nonlocal count
        count += target.suffix == ".parquet"
        if count > 1:
            raise durable.unwritable(target, OSError(errno.ENOSPC, "No space left on device"))
        whole(target, content)

    for module in ("durable", "store", "artefacts", "manifest", "history", "memos"):
        monkeypatch.setattr(f"selrun.runtime.{module}.write_whole", full, raising=False)
    error = refused(text, store=where, out="chosen.jsonl")
    assert isinstance(error, StoreError)
    assert not Path("chosen.jsonl").exists()
    assert not list(where.rglob("*.tmp"))
    monkeypatch.undo()
    monkeypatch.chdir(here)
    again = api.run(text, "rows.jsonl", store=where, out="chosen.jsonl")
    assert again.rows.equals(api.run(text, "rows.jsonl", store=here / "fresh").rows)


@pytest.mark.parametrize("name", ["chosen.jsonl", "chosen.json", "chosen.csv", "chosen.parquet"])
def test_an_output_that_finds_no_room_leaves_the_old_one(here: Path, store: Path, name: str):
    resource = pytest.importorskip("resource")
    api.run("score length | top 2", "rows.jsonl", store=store, out=name)
    before = Path(name).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        error = refused("score length | top 7", store=store, out=name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (error.code[:2], error.exit_code) == ("E6", 2)
    assert Path(name).read_bytes() == before
    assert not list(here.glob(".*.part"))


def test_a_store_of_another_version(here: Path):
    where = here / "own"
    api.run("score perplexity using nano", "rows.jsonl", store=where)
    (where / "VERSION").write_text("99\n")
    error = refused("score perplexity using nano", store=where)
    assert isinstance(error, StoreError)
    assert (where / "VERSION").read_text() == "99\n"


def test_a_damaged_segment_is_asked_again(here: Path):
    where = here / "own"
    first = api.run("score perplexity using nano", "rows.jsonl", store=where)
    for segment in where.rglob("*.parquet"):
        segment.write_bytes(segment.read_bytes()[:40])
    again = api.run("score perplexity using nano", "rows.jsonl", store=where)
    assert again.rows.equals(first.rows)
    assert sum(sweep["rows"] for sweep in again.manifest["sweeps"]) == 8
    assert any(isinstance(event, Warned) and event.code.startswith("W6") for event in again.events)
