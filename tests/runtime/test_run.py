"""Whole runs: what they write, what they write down, and that the same inputs give the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from recipes import few_rows, written
from selrun.errors import SelrunError
from selrun.runtime import api
from selrun.runtime.events import Event, RunDone, TaskDone
from selrun.runtime.run import Run, execute
from selrun.runtime.settings import Settings
from selrun.runtime.sources import forget
from selrun.runtime.store import Store
from selrun.runtime.summary import headline

ROWS = few_rows(20, 140)
LINE = "score ifd using nano | diversify kmeans(3) | top 25%"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for runs that do not test the store."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with the rows in it."""
    monkeypatch.chdir(tmp_path)
    written(ROWS, tmp_path / "rows.jsonl")
    return tmp_path


def run(text: str, store: Path, name: str = "hard.sel", **settings: Any) -> Run:
    return execute([(name, text)], Settings(**{"data": "rows.jsonl", "store": store, **settings}))


def lines(path: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]


def manifest(path: str) -> dict[str, Any]:
    return json.loads(Path(f"{path}.manifest.json").read_text("utf-8"))


# Outputs


@pytest.mark.parametrize(
    ("operator", "more"), [("+", ["length", "words"]), ("&", ["length", "words"]), ("-", ["length"])]
)
def test_two_datasets_together_have_the_columns_of_both_and_a_difference_those_of_the_left(
    here: Path, store: Path, operator: str, more: list[str]
):
    left, right = "(score length | top 9)", "(score length(words) as words | top 5)"
    run(f"{left} {operator} {right}", store, out="chosen.jsonl")
    assert {tuple(row) for row in lines("chosen.jsonl")} == {(*ROWS[0], *more)}


def test_the_result_has_the_input_s_columns_and_the_scores(here: Path, store: Path):
    found = run(LINE, store, out="chosen.jsonl")
    rows = lines("chosen.jsonl")
    assert len(rows) == found.rows.height == 5
    assert list(rows[0]) == [*ROWS[0], "ifd"]
    assert all({k: v for k, v in row.items() if k != "ifd"} in ROWS for row in rows)
    assert [row["ifd"] for row in rows] == sorted((row["ifd"] for row in rows), reverse=True)


def test_without_out_the_recipe_s_name_is_taken(here: Path, store: Path):
    assert run(LINE, store, name="recipes/hard.sel").outputs == (Path("hard.selected.jsonl"),)
    assert Path("hard.selected.jsonl").is_file()


def test_a_recipe_that_saves_needs_no_other_output(here: Path, store: Path):
    found = run(f'{LINE} | save "mine.jsonl"', store)
    assert found.outputs == (Path("mine.jsonl"),)
    assert not list(here.glob("*.selected.jsonl"))


def test_save_in_the_middle_writes_the_rows_at_that_point(here: Path, store: Path):
    found = run('score length | save "all.jsonl" | top 3', store, out="few.jsonl")
    assert [len(lines(name)) for name in ("all.jsonl", "few.jsonl")] == [20, 3]
    assert found.outputs == (Path("all.jsonl"), Path("few.jsonl"))
    assert manifest("all.jsonl")["output"]["rows"] == 20
    assert Path("all.jsonl.history.parquet").is_file()


@pytest.mark.parametrize(
    ("shape", "key"), [("messages", "messages"), ("sharegpt", "conversations"), ("prompt", "prompt")]
)
def test_as_writes_another_format(here: Path, store: Path, shape: str, key: str):
    run(f'score length | top 3 | save "as.jsonl" as {shape}', store)
    rows = lines("as.jsonl")
    assert all(key in row and "length" in row and "topic" in row for row in rows)


@pytest.mark.parametrize("ending", ["json", "csv", "parquet", "jsonl.gz"])
def test_the_ending_of_out_is_respected(here: Path, store: Path, ending: str):
    from selrun.runtime.rows import read_rows

    run("score length | top 3", store, out=f"few.{ending}")
    assert read_rows(f"few.{ending}").frame["length"].len() == 3


def test_several_recipes_have_a_result_each(here: Path, store: Path):
    texts = [("a/one.sel", "score length | top 3"), ("two.sel", "score length | bottom 4")]
    found = execute(texts, Settings(data="rows.jsonl", store=store, out="results"))
    assert [len(lines(path)) for path in found.outputs] == [3, 4]
    assert {path.name for path in found.outputs} == {"one.jsonl", "two.jsonl"}
    assert {name: rows.height for name, rows in found.results.items()} == {"a/one.sel": 3, "two.sel": 4}


def test_recipes_of_one_name_do_not_overwrite_each_other(here: Path, store: Path):
    texts = [("a/one.sel", "score length | top 3"), ("b/one.sel", "score length | bottom 4")]
    with pytest.raises(SelrunError) as refused:
        execute(texts, Settings(data="rows.jsonl", store=store))
    assert refused.value.code == "E411"
    assert not list(here.glob("*.selected.jsonl"))


def test_nothing_is_written_twice(here: Path, store: Path):
    with pytest.raises(SelrunError) as refused:
        run('score length | save "all.jsonl" | top 3', store, out="all.jsonl")
    assert refused.value.code == "E411"
    assert not Path("all.jsonl").exists()


def test_the_input_is_not_written_over(here: Path, store: Path):
    before = Path("rows.jsonl").read_bytes()
    for text, out in (
        ("top 3 by len(response)", "./rows.jsonl"),
        ('top 3 by len(response) | save "rows.jsonl"', None),
    ):
        with pytest.raises(SelrunError) as refused:
            run(text, store, out=out)
        assert refused.value.code == "E412"
    assert Path("rows.jsonl").read_bytes() == before


def test_rows_that_others_are_compared_with_are_told_apart(here: Path, store: Path):
    written(few_rows(24, 140)[16:], here / "other.jsonl")
    run('without (from "other.jsonl") | top 3 by len(response)', store, out="chosen.jsonl")
    history = pl.read_parquet("chosen.jsonl.history.parquet")
    reasons = [entries[0]["reason"] for entries in history.filter(~pl.col("kept"))["dropped"].to_list()]
    assert history.height == 24
    assert reasons.count("the other dataset holds it") == 4
    assert reasons.count("read only to compare others with") == 4
    steps = manifest("chosen.jsonl")["steps"]
    assert [(step["kind"], step["rows_in"]) for step in steps[:2]] == [("read", 20), ("compare", 8)]
    assert headline(steps, 3) == "20 rows in, 3 kept (15.0 %)"


def test_rows_of_two_files_together_all_count_as_read(here: Path, store: Path):
    written(few_rows(24, 140)[16:], here / "other.jsonl")
    run('(filter true) + (from "other.jsonl") | top 6 by len(response)', store, out="chosen.jsonl")
    assert headline(manifest("chosen.jsonl")["steps"], 6) == "28 rows in, 6 kept (21.4 %)"


def test_a_recipe_does_not_write_outside_the_working_folder(here: Path, store: Path):
    text = 'score length | top 3 | save "../out.jsonl"'
    with pytest.raises(SelrunError) as refused:
        run(text, store)
    assert refused.value.code == "E408"
    assert not (here.parent / "out.jsonl").exists()
    run(text, store, allow_write=True)
    assert len(lines(here.parent / "out.jsonl")) == 3


def test_the_last_chain_is_the_result(here: Path, store: Path):
    found = run(
        'score length | top 3 | save "first.jsonl"\nfrom "rows.jsonl" | bottom 2 by len(prompt)',
        store,
        out="last.jsonl",
    )
    assert found.rows.height == len(lines("last.jsonl")) == 2
    assert len(lines("first.jsonl")) == 3


# Manifest and history


def test_the_manifest_says_all_that_happened(here: Path, store: Path):
    text = f"param keep: share = 25%\n{LINE.replace('25%', 'keep')}"
    run(text, store, out="chosen.jsonl", parameters={"keep": "30%"}, seed=7)
    found = manifest("chosen.jsonl")
    assert found["recipe"] == {"name": "hard.sel", "text": text}
    assert (found["parameters"], found["seed"], found["dtype"]) == ({"keep": "30%"}, 7, "float32")
    assert found["data"][0]["rows"] == 20
    assert found["models"] == [{"label": "nano", "target": "nano", "identity": "nano-1"}]
    assert [s["title"] for s in found["steps"]] == [
        "input",
        "score ifd using nano",
        "diversify kmeans(3)",
        "top 30%",
    ]
    assert {"tokens", "rows", "cached", "failed", "seconds"} <= set(found["sweeps"][0])
    assert found["output"]["path"] == "chosen.jsonl"
    assert found["versions"]["polars"] == pl.__version__
    import hashlib

    assert found["output"]["sha256"] == hashlib.sha256(Path("chosen.jsonl").read_bytes()).hexdigest()


KEEPING = {
    "one choice": LINE,
    "filters": "score perplexity using nano | filter len(response) > 30 | filter perplexity < 300 | top 4",
    "union": "(score length | top 3) + (filter len(prompt) > 60 | sample 50%)",
    "difference": "(filter len(prompt) > 20) - (top 3 by len(response))",
    "without": "without (top 3 by len(response)) | top 5 by len(prompt)",
    "copies": "dedup exact | sample 50%",
    "coverer": "diversify kcenter(5) using nano",
}


@pytest.mark.parametrize("text", KEEPING.values(), ids=KEEPING)
def test_every_row_is_kept_or_went_for_a_reason(here: Path, store: Path, text: str):
    written([*ROWS, *ROWS[:4]], here / "rows.jsonl")
    found = run(text, store, out="chosen.jsonl")
    history = pl.read_parquet("chosen.jsonl.history.parquet")
    assert history.height == 24
    assert history["kept"].sum() == found.rows.height
    gone = history.filter(~pl.col("kept"))
    assert all(entries and all(entry["reason"] for entry in entries) for entries in gone["dropped"].to_list())
    for after in found.manifest["steps"]:
        assert after["rows_out"] <= after["rows_in"]


def test_history_holds_scores_ranks_and_positions(here: Path, store: Path):
    found = run(LINE, store, out="chosen.jsonl")
    history = pl.read_parquet("chosen.jsonl.history.parquet")
    assert history["ifd"].null_count() == 0
    kept = history.filter("kept").sort("position")
    assert kept["@id"].to_list() == found.ids.to_list()
    assert any(name.startswith("step ") and "rank" in name for name in history.columns)


# Locked


def test_locked_repeats(here: Path, store: Path):
    run(LINE, store, out="chosen.jsonl")
    before = Path("chosen.jsonl").read_bytes()
    run(LINE, store, out="chosen.jsonl", locked=True)
    assert Path("chosen.jsonl").read_bytes() == before


DRIFTS: dict[str, dict[str, Any]] = {
    "recipe": {"text": LINE.replace("25%", "30%")},
    "comment": {"text": f"# other\n{LINE}"},
    "seed": {"seed": 1},
    "dtype": {"dtype": "bfloat16"},
    "models": {"text": LINE, "models": {"nano": "copy"}},
    "data": {"data": "other.jsonl"},
}


@pytest.mark.parametrize("changes", DRIFTS.values(), ids=DRIFTS)
def test_locked_refuses_drift(here: Path, store: Path, changes: dict[str, Any]):
    from selrun.runtime.nano import save_nano

    run(LINE, store, out="chosen.jsonl")
    before = Path("chosen.jsonl").read_bytes()
    written(ROWS[1:], here / "other.jsonl")
    if "models" in changes:
        save_nano(here / "copy")
    text = changes.get("text", LINE)
    rest = {name: value for name, value in changes.items() if name != "text"}
    with pytest.raises(SelrunError) as refused:
        run(text, store, out="chosen.jsonl", locked=True, **rest)
    assert refused.value.code == "E541"
    assert Path("chosen.jsonl").read_bytes() == before


def test_locked_needs_a_manifest(here: Path, store: Path):
    with pytest.raises(SelrunError) as refused:
        run(LINE, store, out="new.jsonl", locked=True)
    assert refused.value.code == "E540"
    Path("new.jsonl.manifest.json").write_text("{")
    with pytest.raises(SelrunError) as refused:
        run(LINE, store, out="new.jsonl", locked=True)
    assert refused.value.code == "E540"


def test_locked_accepts_another_place_of_the_same_rows(here: Path, store: Path):
    run(LINE, store, out="chosen.jsonl")
    Path("rows.jsonl").rename("moved.jsonl")
    run(LINE, store, out="chosen.jsonl", data="moved.jsonl", locked=True)


# Machines


def test_bfloat16_runs_and_is_another_answer(here: Path, store: Path):
    exact, rough = (run("score ifd using nano", store, write=False, dtype=d) for d in ("float32", "bfloat16"))
    assert exact.rows["ifd"].to_list() != rough.rows["ifd"].to_list()
    assert rough.rows["ifd"].to_list() == pytest.approx(exact.rows["ifd"].to_list(), rel=0.02)
    assert rough.manifest["dtype"] == "bfloat16"


def test_two_worker_processes_give_the_same_answers(here: Path, store: Path, tmp_path: Path):
    text = "score perplexity using nano | score entropy | embed using nano as place"
    one = run(text, store, write=False)
    two = run(text, tmp_path / "workers", write=False, workers=2)
    assert one.ids.to_list() == two.ids.to_list()
    for name in ("perplexity", "entropy"):
        assert two.rows[name].to_list() == pytest.approx(one.rows[name].to_list(), rel=1e-5)
    assert two.manifest["sweeps"][0]["rows"] == 20


@pytest.mark.parametrize("wanted", ["tpu", "cuda:9"])
def test_a_device_that_is_not_there(here: Path, store: Path, wanted: str):
    with pytest.raises(SelrunError) as refused:
        run(LINE, store, device=wanted)
    assert refused.value.code == "E439"


# Interrupted and at once


def test_an_interrupt_loses_nothing(here: Path, tmp_path: Path):
    class Stop:
        def __call__(self, event: Event) -> None:
            if isinstance(event, TaskDone):
                raise KeyboardInterrupt

    settings = Settings(data="rows.jsonl", store=tmp_path / "own", out="chosen.jsonl")
    with pytest.raises(KeyboardInterrupt):
        execute([("hard.sel", LINE)], settings, Stop())
    assert not Path("chosen.jsonl").exists()
    sweeps = execute([("hard.sel", LINE)], settings).manifest["sweeps"]
    assert [(sweep["rows"], sweep["cached"]) for sweep in sweeps] == [(0, 20), (20, 0)]


def test_killed_runs_and_two_at_once_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    written(ROWS, tmp_path / "rows.jsonl")
    text = f"let warm = warmup(nano, 50%, batch = 8)\n{LINE.replace('using nano', 'using warm')}"
    Path("recipe.sel").write_text(text)
    child = subprocess.run(
        [sys.executable, Path(__file__).with_name("killed_runs.py"), tmp_path, "6", "1"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    assert child.returncode == 0, child.stderr
    assert int(child.stdout) >= 4
    monkeypatch.setattr("selrun.runtime.forward.gemm.onednn_is_faster", lambda *_: False)
    forget()
    run(text, tmp_path / "fresh", name="recipe.sel", out="whole.jsonl")
    whole = Path("whole.jsonl").read_bytes()
    assert [Path(f"{name}.jsonl").read_bytes() == whole for name in ("one", "other", "resumed")] == [True] * 3
    history = pl.read_parquet("whole.jsonl.history.parquet")
    assert pl.read_parquet("resumed.jsonl.history.parquet").equals(history)


# Python


def test_python_takes_a_frame_and_gives_one(store: Path):
    found = api.run(LINE, pl.DataFrame(ROWS), store=store)
    assert isinstance(found.rows, pl.DataFrame)
    assert found.rows.columns[-1] == "ifd"
    assert (found.outputs, found.ids.len(), repr(found)) == ((), 5, "Run(20 rows in, 5 kept)")
    assert isinstance(found.events[-1], RunDone)
    assert "<table" in found._repr_html_()


def test_python_takes_files_and_rows(here: Path, store: Path):
    Path("hard.sel").write_text("param keep: count = 2\nscore length | top keep by length")
    assert api.run("hard.sel", ROWS, store=store, parameters={"keep": 3}).rows.height == 3
    assert api.run(Path("hard.sel"), "rows.jsonl", store=store, out="o.jsonl").outputs == (Path("o.jsonl"),)


def test_python_compiles_and_explains(here: Path):
    plan = api.compile(LINE, "rows.jsonl")
    assert sum(1 for _ in plan.sweeps) == 2
    assert "kmeans(3)" in str(api.explain(LINE, "rows.jsonl"))


def test_a_union_of_rows_not_chosen_yet_is_at_most_the_sum(here: Path, tmp_path: Path):
    text = "(score ifd using nano | top 3 by ifd) + (score length | top 4 by length)"
    told = str(api.explain(text, "rows.jsonl", store=tmp_path / "empty"))
    assert [line.split()[1:] for line in told.splitlines() if " +  " in line] == [
        ["+", "at", "most", "7", "rows"]
    ]


def test_a_run_does_not_change_the_caller_s_frame(store: Path):
    frame = pl.DataFrame(ROWS)
    api.run("score length | top 3", frame, store=store)
    assert frame.equals(pl.DataFrame(ROWS))


@pytest.mark.parametrize(("count", "kept"), [(20, []), (70, ["speed"])])
def test_a_speed_of_few_rows_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, kept: list[str]
):
    remembered: list[str] = []
    monkeypatch.setattr(Store, "remember", lambda self, kind, key, value: remembered.append(kind))
    data = [{"instruction": f"Say {number}", "output": f"{number}"} for number in range(count)]
    api.explain("score ifd using nano", data, store=tmp_path / "empty")
    assert sorted({"speed"} & set(remembered)) == kept
