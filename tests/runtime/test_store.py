"""Answers are stored once, found by key and pass, and never believed when damaged."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from selrun.compiler.wants import Logprobs, Template, View
from selrun.errors import StoreError
from selrun.runtime import store as stores
from selrun.runtime.events import Event, Warned
from selrun.runtime.passes import Difference, canonical, differences
from selrun.runtime.store import PassMeta, Store, default_root, pass_key

META = PassMeta("weights-1", "tokenizer-1", "{}", "{}", "float32", 1, label="tiny")
KEY = pass_key(META)
VECTOR = pl.Array(pl.Float32, 3)


def rows(*keys: str, value: float = 1.0) -> pl.DataFrame:
    answer = pl.Series("answer", [value + at for at in range(len(keys))], dtype=pl.Float32)
    return pl.DataFrame([pl.Series("key", keys, dtype=pl.String), answer]).with_columns(
        problem=pl.lit(None, pl.String)
    )


def series(*keys: str) -> pl.Series:
    return pl.Series("whatever", keys, dtype=pl.String)


def segments(store: Store) -> list[Path]:
    return sorted((store.root / "passes" / KEY).glob("*.parquet"))


def test_what_is_written_is_no_longer_missing(tmp_store: Path):
    store = Store(tmp_store)
    assert store.missing(KEY, series("a", "b")).to_list() == ["a", "b"]
    store.write(KEY, rows("a", "c"), META)
    assert store.missing(KEY, series("d", "a", "b", "d", "c")).to_list() == ["d", "b"]


def test_answers_come_in_the_order_asked_for_repeated_keys_included(tmp_store: Path):
    store = Store(tmp_store)
    store.write(KEY, rows("a", "b"), META)
    store.write(KEY, rows("c", value=9), META)
    found = store.read(KEY, series("c", "a", "b", "a"))
    assert found.to_dict(as_series=False) == {
        "key": ["c", "a", "b", "a"],
        "answer": [9.0, 1.0, 2.0, 1.0],
        "problem": [None] * 4,
    }


def test_reading_what_is_not_stored_is_an_error_and_never_a_value(tmp_store: Path):
    store = Store(tmp_store)
    store.write(KEY, rows("a"), META)
    with pytest.raises(KeyError, match="1 of 2 keys"):
        store.read(KEY, series("a", "b"))


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (pl.Float32, [1.0, None, float("nan")]),
        (pl.List(pl.Float32), [[1.0, 2.0], [], None]),
        (VECTOR, [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], None]),
        (pl.String, ["é\n", "", None]),
        (pl.UInt32, [0, 1, None]),
    ],
)
def test_every_kind_of_answer_returns_as_it_was(tmp_store: Path, dtype: pl.DataType, values: list[object]):
    store = Store(tmp_store)
    written = pl.DataFrame(
        {
            "key": ["a", "b", "c"],
            "answer": pl.Series(values, dtype=dtype),
            "problem": [None, None, "no response"],
        }
    )
    store.write(KEY, written, META)
    assert store.read(KEY, series("a", "b", "c")).equals(written)
    assert store.read(KEY, series("c", "a"))["answer"].to_list()[0] == values[2] or dtype == pl.Float32


def test_a_shard_without_a_single_answer_mixes_with_others(tmp_store: Path):
    store = Store(tmp_store)
    empty = pl.DataFrame({"key": ["x"], "answer": [None], "problem": ["no response"]})
    store.write(KEY, empty, META)
    store.write(KEY, rows("a"), META)
    assert store.read(KEY, series("a", "x"))["answer"].to_list() == [1.0, None]


def test_no_rows_write_nothing(tmp_store: Path):
    store = Store(tmp_store)
    store.write(KEY, rows(), META)
    assert store.passes() == []
    assert store.read(KEY, series()).is_empty()


def test_the_first_of_two_answers_stays_the_answer(tmp_store: Path):
    store = Store(tmp_store)
    store.write(KEY, rows("a", value=1), META)
    store.write(KEY, rows("a", value=2), META)
    assert store.read(KEY, series("a"))["answer"].to_list() == [1.0]
    store.compact(KEY)
    assert len(segments(store)) == 1
    assert store.read(KEY, series("a"))["answer"].to_list() == [1.0]


def test_many_small_segments_become_few(tmp_store: Path):
    store = Store(tmp_store)
    for at in range(stores.MANY + 20):
        store.write(KEY, rows(str(at), value=at), META)
    assert len(segments(store)) < 50
    keys = series(*map(str, range(stores.MANY + 20)))
    assert store.read(KEY, keys)["answer"].to_list() == list(map(float, range(stores.MANY + 20)))


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "emptied":
        path.write_bytes(b"")
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


@pytest.mark.parametrize("how", ["truncated", "emptied", "one bit flipped"])
def test_a_damaged_segment_is_set_aside_and_its_rows_are_missing(tmp_store: Path, how: str):
    Store(tmp_store).write(KEY, rows("a", "b"), META)
    Store(tmp_store).write(KEY, rows("c"), META)
    heard: list[Event] = []
    store = Store(tmp_store, heard.append)
    broken = segments(store)[0]
    damage(broken, how)
    assert store.missing(KEY, series("a", "b", "c")).to_list() == ["a", "b"]
    assert [type(event) for event in heard] == [Warned]
    assert heard[0] == Warned("W610", heard[0].text)
    assert "2 rows are computed again" in heard[0].text
    assert not broken.exists()
    assert broken.with_suffix(".damaged").exists()
    store.write(KEY, rows("a", "b"), META)
    assert store.missing(KEY, series("a", "b", "c")).is_empty()


def test_verify_reads_every_byte_again(tmp_store: Path):
    store = Store(tmp_store)
    store.write(KEY, rows("a"), META)
    assert store.verify() == []
    damage(segments(store)[0], "one bit flipped")
    assert [path.name for path in store.verify()] == [p.with_suffix(".parquet").name for p in _aside(store)]


def _aside(store: Store) -> list[Path]:
    return list((store.root / "passes" / KEY).glob("*.damaged"))


def test_what_killed_writers_leave_is_ignored_and_swept(tmp_store: Path):
    store = Store(tmp_store)
    store.write(KEY, rows("a"), META)
    left = subprocess.run(
        [sys.executable, "-c", "import sys; from selrun.runtime.durable import temporary; "
         "from pathlib import Path; print(temporary(Path(sys.argv[1])))", str(segments(store)[0])],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    Path(left).write_bytes(b"half a segment")
    ours = segments(store)[0].with_name(f".{os.uname().nodename.replace('.', '-')}.{os.getpid()}.ff.tmp")
    ours.write_bytes(b"being written now")
    assert store.missing(KEY, series("a", "b")).to_list() == ["b"]
    assert store.sweep() == len(b"half a segment")
    assert ours.exists()
    assert not Path(left).exists()


def test_a_store_of_another_version_is_refused(tmp_store: Path):
    tmp_store.mkdir()
    (tmp_store / "VERSION").write_text("selrun store 99\n")
    with pytest.raises(StoreError) as refused:
        Store(tmp_store)
    assert str(refused.value) == (
        f"error[E610]: the store at {tmp_store} says 'selrun store 99' "
        "where this selrun reads 'selrun store 1'\n"
        "  = help: use another store: --store DIR\n"
        f"  = help: or remove it and compute again: delete the folder {tmp_store}"
    )


def test_a_folder_with_other_files_is_not_taken_for_a_store(tmp_path: Path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(StoreError, match="not a store and not empty") as refused:
        Store(tmp_path)
    assert refused.value.code == "E611"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_store_where_a_file_stands_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as refused:
        Store(tmp_path / "file" / "store")
    assert refused.value.code == "E612"


FULL = """
    import resource, signal, sys, polars as pl
    from selrun.errors import StoreError
    from selrun.runtime.store import PassMeta, Store, pass_key
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store, meta = Store(sys.argv[1]), PassMeta("m", "t", "{}", "{}", "float32", 1)
    def write(start, stop):
        keys = pl.Series("key", [f"{i * 7919:032x}" for i in range(start, stop)])
        frame = pl.DataFrame({"key": keys, "answer": [0.5] * len(keys)})
        store.write(pass_key(meta), frame.with_columns(problem=pl.lit(None, pl.String)), meta)
    write(0, 100)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    try:
        write(100, 100_000)
    except StoreError as error:
        print(error.code)
    def fill(folder):
        (folder / "weights").write_bytes(bytes(100_000))
    try:
        store.publish("model", "k", fill, {})
    except StoreError as error:
        print(error.code, store.artefact("model", "k"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    write(100, 100_000)
    print(store.info(pass_key(meta)).rows, [str(p) for p in store.root.rglob(".*.tmp")])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_no_room_for_a_segment_or_a_model_is_an_error_that_loses_nothing(tmp_store: Path):
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL), str(tmp_store)], capture_output=True, text=True
    )
    assert child.stdout.splitlines() == ["E612", "E612 None", "100000 []"], child.stderr


def vanished(store: Store) -> Path:
    """A segment of the pass that is listed and cannot be opened, as while another run unites segments."""
    path = segments(store)[0].with_name("1-aa-1-00000000.parquet")
    path.symlink_to("gone")
    return path


def test_segments_that_keep_vanishing_are_an_error_in_the_end(
    tmp_store: Path, monkeypatch: pytest.MonkeyPatch
):
    store, waits = Store(tmp_store), []
    store.write(KEY, rows("a"), META)
    vanished(store)
    monkeypatch.setattr(time, "sleep", waits.append)
    with pytest.raises(StoreError, match="vanish while they are read") as stopped:
        store.missing(KEY, series("a"))
    assert stopped.value.code == "E613"
    assert 3 < sum(waits) < 10


def test_segments_that_vanish_for_a_while_are_waited_for(tmp_store: Path, monkeypatch: pytest.MonkeyPatch):
    store, waits = Store(tmp_store), []
    store.write(KEY, rows("a"), META)
    path = vanished(store)

    def until_they_are_united(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 12:
            path.unlink()

    monkeypatch.setattr(time, "sleep", until_they_are_united)
    assert store.missing(KEY, series("a", "b")).to_list() == ["b"]
    assert len(waits) == 12


def test_a_lost_description_of_a_pass_is_written_again(tmp_store: Path):
    store = Store(tmp_store)
    store.write(KEY, rows("a"), META)
    (tmp_store / "passes" / KEY / "pass.json").write_text("{")
    assert store.info(KEY).meta is None
    store.write(KEY, rows("b"), META)
    assert store.info(KEY).meta == META


def test_keys_follow_what_decides_the_answers_and_nothing_else():
    assert pass_key(replace(META, label="another name")) == KEY
    changed = [
        replace(META, **{name: "other"}) for name in ("model", "tokenizer", "view", "want", "dtype", "rows")
    ]
    assert len({KEY, pass_key(replace(META, version=2)), *map(pass_key, changed)}) == 8


def template(name: str, text: str) -> Template:
    return Template(name, text, text, "### Response:")


def test_a_template_s_name_is_not_part_of_the_key_and_its_text_is():
    one, same, other = template("alpaca", "a"), template("stanford", "a"), template("alpaca", "b")
    assert canonical(View(one)) == canonical(View(same)) != canonical(View(other))


def test_a_difference_is_named_down_to_the_parameter():
    wanted = replace(META, view=canonical(View(template("x", "a"), limit=512)), want=canonical(Logprobs()))
    stored = replace(wanted, view=canonical(View(template("x", "b"), limit=512)), dtype="bfloat16")
    assert list(differences(wanted, stored)) == [
        Difference("view.template.with_input", "a", "b"),
        Difference("view.template.without_input", "a", "b"),
        Difference("dtype", "float32", "bfloat16"),
    ]


def test_an_artefact_is_published_whole_and_once(tmp_store: Path):
    store = Store(tmp_store)

    def fill(folder: Path) -> None:
        assert store.artefact("model", "k") is None
        (folder / "weights").write_text("first")

    made = store.publish("model", "k", fill, {"label": "warmup(tiny, 5%)"})
    again = store.publish("model", "k", lambda folder: pytest.fail("made twice"), {})
    assert made == again == store.artefact("model", "k")
    assert (made / "weights").read_text() == "first"
    assert [(each.key, each.meta["label"]) for each in store.artefacts.all()] == [("k", "warmup(tiny, 5%)")]


def test_the_slower_of_two_publishers_uses_the_faster_one_s_artefact(tmp_store: Path):
    store = Store(tmp_store)

    def fill(folder: Path) -> None:
        Store(tmp_store).publish("model", "k", lambda inner: _put(inner, "faster"), {})
        _put(folder, "slower")

    assert (store.publish("model", "k", fill, {}) / "weights").read_text() == "faster"


def _put(folder: Path, text: str) -> None:
    (folder / "weights").write_text(text)


def test_a_filling_that_fails_leaves_nothing(tmp_store: Path):
    store = Store(tmp_store)

    def fill(folder: Path) -> None:
        _put(folder, "half")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.publish("model", "k", fill, {})
    assert list((tmp_store / "artefacts" / "model").iterdir()) == []


@pytest.mark.parametrize("how", ["shortened", "flipped"])
def test_a_damaged_artefact_is_found_and_made_again(tmp_store: Path, how: str):
    heard: list[Event] = []
    store = Store(tmp_store, heard.append)
    made = store.publish("model", "k", lambda folder: _put(folder, "weights"), {})
    (made / "weights").write_text("wei" if how == "shortened" else "veights")
    if how == "flipped":
        assert store.verify() == [made]
    assert store.artefact("model", "k") is None
    assert [event.code for event in heard if isinstance(event, Warned)] == ["W610"]
    assert store.publish("model", "k", lambda folder: _put(folder, "weights"), {}) == made
    assert store.sweep() > 0


def test_memos_hold_json_by_kind_and_key(tmp_store: Path):
    store = Store(tmp_store)
    assert store.memo("weights", "/models/x:123:4.5") is None
    store.remember("weights", "/models/x:123:4.5", {"sha256": "ab", "sizes": [1, 2]})
    assert Store(tmp_store).memo("weights", "/models/x:123:4.5") == {"sha256": "ab", "sizes": [1, 2]}
    assert store.memo("pilots", "/models/x:123:4.5") is None
    for path in (tmp_store / "memos").rglob("*.json"):
        path.write_text("{")
    assert store.memo("weights", "/models/x:123:4.5") is None


def test_a_store_travels_to_other_processes(tmp_store: Path):
    store = Store(tmp_store, [].append)
    store.write(KEY, rows("a"), META)
    assert pickle.loads(pickle.dumps(store)).missing(KEY, series("a")).is_empty()


def test_the_store_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("SELRUN_STORE", str(tmp_path / "mine"))
    assert default_root() == tmp_path / "mine"
    monkeypatch.delenv("SELRUN_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform.startswith("linux"):
        assert default_root() == tmp_path / "selrun" / "store"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_can_only_be_read_still_answers(tmp_store: Path):
    Store(tmp_store).write(KEY, rows("a"), META)
    folders = [tmp_store, *(path for path in tmp_store.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        store = Store(tmp_store)
        assert store.read(KEY, series("a"))["answer"].to_list() == [1.0]
        with pytest.raises(StoreError, match="cannot write under"):
            store.write(KEY, rows("b"), META)
    finally:
        for folder in folders:
            folder.chmod(0o755)
