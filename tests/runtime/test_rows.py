"""Rows have a prompt, a response and a name, whatever shape they come in."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xxhash
from selrun.errors import DataError, StoreError
from selrun.runtime.formats import write
from selrun.runtime.formats.keys import ids
from selrun.runtime.rows import read_rows, write_rows

PARTS = ("@system", "@history", "@instruction", "@input", "@prompt", "@response")
ALPACA = [
    {"instruction": "Add", "input": "1 2", "output": "3"},
    {"instruction": "Hi", "input": "", "output": "Hello"},
]


def parts(*rows: dict[str, Any], shape: str | None = None) -> list[tuple[Any, ...]]:
    return read_rows(list(rows), shape=shape).frame.select(PARTS).rows()


def said(*turns: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in turns]


def test_alpaca_joins_instruction_and_input():
    assert parts(*ALPACA) == [
        (None, None, "Add", "1 2", "Add\n1 2", "3"),
        (None, None, "Hi", "", "Hi", "Hello"),
    ]


def test_alpaca_takes_system_and_earlier_turns():
    row = {"instruction": "And now?", "output": "5", "system": "Be brief", "history": [["2+2?", "4"]]}
    history = said(("user", "2+2?"), ("assistant", "4"))
    assert parts(row) == [("Be brief", history, "And now?", None, "And now?", "5")]


@pytest.mark.parametrize("answer", ["completion", "response"])
def test_prompt_and_completion(answer: str):
    assert parts({"prompt": "Hi", answer: "Hello"}) == [(None, None, "Hi", None, "Hi", "Hello")]


def test_plain_text_only_when_asked_for():
    assert parts({"text": "Once"}, shape="plain") == [(None, None, "", None, "", "Once")]
    with pytest.raises(DataError) as caught:
        read_rows([{"text": "Once"}])
    assert caught.value.code == "E506"


def test_sharegpt_keeps_all_turns():
    spoken = [("system", "S"), ("human", "a"), ("gpt", "b"), ("human", "c"), ("gpt", "d")]
    row = {"conversations": [{"from": who, "value": text} for who, text in spoken]}
    assert parts(row) == [("S", said(("user", "a"), ("assistant", "b")), "c", None, "c", "d")]


@pytest.mark.parametrize(
    ("turns", "history", "prompt", "response"),
    [
        ([("user", "a"), ("assistant", "b")], None, "a", "b"),
        ([("user", "a"), ("assistant", "b"), ("user", "c")], [("user", "a"), ("assistant", "b")], "c", None),
        ([("assistant", "b")], None, None, "b"),
        ([("user", "a"), ("tool", "t"), ("assistant", "b")], [("tool", "t")], "a", "b"),
        ([("user", "a")], None, "a", None),
        ([], None, None, None),
    ],
)
def test_messages_end_with_the_last_exchange(
    turns: Any, history: Any, prompt: str | None, response: str | None
):
    whole = {"messages": said(("user", "q"), ("assistant", "r"))}
    found = parts(whole, {"messages": said(*turns)})[1]
    assert found == (None, said(*history) if history else None, prompt, None, prompt, response)


def test_messages_in_parts_are_their_texts():
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "a.png"}},
    ]
    row = {"messages": [{"role": "user", "content": content}, {"role": "assistant", "content": "A cat"}]}
    assert parts(row)[0][4:] == ("What is this?", "A cat")


def test_conversations_in_a_table_are_the_same(tmp_path: Path):
    rows = read_rows(
        [{"messages": said(("user", "a"), ("assistant", "b"))}, {"messages": said(("user", "c"))}]
    )
    for ending in ("parquet", "csv", "json"):
        write_rows(rows.frame, rows.layout, tmp_path / f"a.{ending}")
        assert read_rows(tmp_path / f"a.{ending}").frame["@key"].equals(rows.frame["@key"])


def test_a_number_as_response_is_its_text():
    assert [row[-1] for row in parts({"prompt": "2+2", "response": 4}, {"prompt": "a", "response": "b"})] == [
        "4",
        "b",
    ]


def test_a_key_is_the_hash_of_the_parts_with_their_lengths():
    content = "-" + "3:Add" + "3:1 2" + "1:3" + "-" + "-"
    assert read_rows(ALPACA).frame["@key"][0] == xxhash.xxh3_128_hexdigest(content.encode())


def test_keys_tell_apart_what_is_different_and_nothing_else():
    keys = read_rows(
        [
            {"instruction": "ab", "input": "c", "output": "d"},
            {"instruction": "a", "input": "bc", "output": "d"},
            {"instruction": "ab", "input": "c", "output": "d", "topic": "other"},
            {"instruction": "ab", "input": None, "output": "d"},
            {"instruction": "ab", "input": "", "output": "d"},
            {"instruction": "ab", "output": "d"},
        ]
    ).frame["@key"]
    assert keys[0] == keys[2]
    assert keys[3] == keys[5]
    assert keys.n_unique() == 4


def test_images_are_part_of_the_key():
    rows = [{"prompt": "What?", "response": "A cat", "images": [name]} for name in ("a.png", "b.png")]
    assert read_rows(rows).frame["@key"].n_unique() == 2


def test_every_turn_is_part_of_the_key():
    rows = [
        {"messages": said(("user", a), ("assistant", "b"), ("user", "c"), ("assistant", "d"))} for a in "xy"
    ]
    assert read_rows(rows).frame["@key"].n_unique() == 2


def test_copies_are_numbered_in_their_order():
    rows = read_rows([*ALPACA, *ALPACA, ALPACA[0]]).frame
    add, hi = rows["@key"][0][:10], rows["@key"][1][:10]
    assert rows["@id"].to_list() == [add, hi, f"{add}-2", f"{hi}-2", f"{add}-3"]


def test_ids_grow_until_they_differ():
    keys = pl.Series(
        ["0123456789" + "a" * 22, "0123456789" + "a" * 21 + "b", "0123456789ff" + "0" * 20, "9" * 32]
    )
    assert ids(keys).to_list() == [keys[0], keys[1], "0123456789ff", "9" * 10]


def test_a_file_may_have_ids_of_its_own():
    frame = read_rows([{"id": 7, **ALPACA[0]}]).frame
    assert frame["id"].to_list() == [7]
    assert len(frame["@id"][0]) == 10


def test_the_fingerprint_sees_every_value_and_the_order():
    def fingerprint(*rows: dict[str, Any]) -> str:
        return read_rows(list(rows)).fingerprint

    first, second = (
        {**row, "topic": topic} for row, topic in zip(ALPACA, ("sums", "greetings"), strict=True)
    )
    prints = [
        fingerprint(first, second),
        fingerprint(second, first),
        fingerprint(first, second | {"topic": "x"}),
    ]
    assert len(set(prints)) == 3
    assert fingerprint(first, second) == prints[0]


@pytest.mark.parametrize("shape", ["sharegpt", "messages", "prompt", "alpaca"])
def test_another_shape_keeps_the_exchange_and_the_other_columns(tmp_path: Path, shape: str):
    rows = read_rows([{**row, "topic": "t"} for row in ALPACA])
    write_rows(rows.frame, rows.layout, tmp_path / "out.json", shape=shape)
    back = read_rows(tmp_path / "out.json")
    assert back.layout.shape == shape
    assert back.frame.select("@prompt", "@response", "topic").equals(
        rows.frame.select("@prompt", "@response", "topic")
    )


def test_conversations_become_other_conversations(tmp_path: Path):
    messages = said(("system", "S"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))
    rows = read_rows([{"messages": messages, "n": 1}, {"messages": messages[1:3]}])
    write_rows(rows.frame, rows.layout, tmp_path / "out.jsonl", shape="sharegpt")
    first, second = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert [turn["from"] for turn in first["conversations"]] == ["system", "human", "gpt", "human", "gpt"]
    assert (list(first), list(second)) == (["conversations", "n"], ["conversations"])
    assert read_rows(tmp_path / "out.jsonl").frame["@key"].equals(rows.frame["@key"])


class FullDisk:
    """A disk that takes a little and then is full."""

    def __init__(self, room: int):
        self.room = room

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        args[-1].write(b"x" * self.room)
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("ending", ["json", "jsonl.gz", "parquet"])
def test_a_full_disk_leaves_the_old_file_and_no_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
):
    target = tmp_path / f"out.{ending}"
    target.write_bytes(b"old")
    rows = read_rows(ALPACA)
    monkeypatch.setattr(write, "write", FullDisk(100))
    with pytest.raises(StoreError) as caught:
        write_rows(rows.frame, rows.layout, target)
    assert (caught.value.code, caught.value.notes[0]) == ("E601", "no space left on device")
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    assert target.read_bytes() == b"old"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("ending", ["json", "jsonl", "csv", "parquet", "jsonl.zst", "json.gz"])
def test_every_writer_says_that_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
):
    target = tmp_path / f"out.{ending}"
    rows = read_rows(ALPACA * 10_000)
    real = open
    monkeypatch.setattr(
        write, "open", lambda number, mode, **how: real("/dev/full", mode, **how), raising=False
    )
    with pytest.raises(StoreError) as caught:
        write_rows(rows.frame, rows.layout, target)
    assert caught.value.code == "E601"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_said(tmp_path: Path):
    (tmp_path / "a").write_text("")
    rows = read_rows(ALPACA)
    with pytest.raises(StoreError) as caught:
        write_rows(rows.frame, rows.layout, tmp_path / "a" / "out.json")
    assert caught.value.code == "E601"
