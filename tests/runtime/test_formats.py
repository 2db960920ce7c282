"""What is read from a file is written back as it was, and what cannot be read is said."""

from __future__ import annotations

import gzip
import io
import json
import math
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import fsspec
import polars as pl
import pytest
import selrun
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from selrun.errors import DataError
from selrun.runtime.rows import kind_of, read_rows, write_rows

ROWS: list[dict[str, Any]] = [
    {"instruction": "Say hello", "input": "", "output": "Hello", "topic": "small talk"},
    {"instruction": "Add", "input": "1 2", "output": "3", "topic": None},
    {"instruction": "Grüße", "input": "日本語", "output": '🙂 "quoted"\n\tand more', "topic": ""},
]
ENDINGS = [
    ".json",
    ".jsonl",
    ".json.gz",
    ".jsonl.gz",
    ".json.zst",
    ".jsonl.zst",
    ".csv",
    ".csv.gz",
    ".parquet",
]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=6).filter(
    lambda name: (
        not name.startswith("@") and name not in ("instruction", "output", "system", "history", "images")
    )
)
row = st.fixed_dictionaries(
    {"instruction": texts, "output": texts},
    optional={"input": values, "a": values, "b": scalars, "c": st.integers(-9, 9) | st.floats(-9, 9)},
)
json_rows = st.lists(st.tuples(row, st.dictionaries(names, values, max_size=2)), min_size=1, max_size=8).map(
    lambda pairs: [extra | own for own, extra in pairs]
)
check = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def exact(rows: list[dict[str, Any]]) -> str:
    """A text that differs where a value, a type, a key or the order of keys differs."""
    return repr(rows)


def written(rows: list[dict[str, Any]], path: Path) -> Path:
    """The rows as plain Python writes them."""
    match path.name.split(".", 1)[1]:
        case "json":
            path.write_text(json.dumps(rows, indent=4))
        case "jsonl":
            path.write_text(
                "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
            )
        case ending:
            raise ValueError(ending)
    return path


def again(path: Path, target: Path) -> Path:
    """The rows of one file written to another."""
    rows = read_rows(path)
    write_rows(rows.frame, rows.layout, target)
    return target


def plain(path: Path) -> list[dict[str, Any]]:
    """The rows as plain Python reads them."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    if path.suffix == ".zst":
        content = zstandard.ZstdDecompressor().decompressobj().decompress(content)
    if ".jsonl" in path.name:
        return [json.loads(line) for line in content.splitlines()]
    return json.loads(content)


@pytest.mark.parametrize("ending", ["json", "jsonl"])
@check
@given(rows=json_rows)
def test_any_json_row_comes_back_exactly(tmp_path: Path, ending: str, rows: list[dict[str, Any]]):
    source = written(rows, tmp_path / f"in.{ending}")
    assert exact(plain(again(source, tmp_path / f"out.{ending}"))) == exact(rows)


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@check
@given(rows=json_rows)
def test_compression_changes_nothing(tmp_path: Path, ending: str, rows: list[dict[str, Any]]):
    source = written(rows, tmp_path / "in.jsonl")
    packed = again(source, tmp_path / f"mid.jsonl{ending}")
    assert exact(plain(packed)) == exact(rows)
    assert exact(plain(again(packed, tmp_path / "out.jsonl"))) == exact(rows)


cells = st.one_of(
    st.none(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=9)
)


@check
@given(rows=st.lists(st.tuples(texts.filter(lambda t: "\r" not in t), cells, cells), min_size=1, max_size=6))
def test_any_csv_cell_comes_back_exactly(tmp_path: Path, rows: list[tuple[str, str | None, str | None]]):
    frame = pl.DataFrame(
        rows, schema=dict.fromkeys(["instruction", "output", "note"], pl.String), orient="row"
    )
    frame = frame.with_columns(pl.col("output").fill_null("x"))
    source = tmp_path / "in.csv"
    frame.write_csv(source)
    again(source, tmp_path / "out.csv")
    assert source.read_bytes() == (tmp_path / "out.csv").read_bytes()
    rows_read = read_rows(source).frame.select(pl.col("instruction", "output", "note").cast(pl.String))
    assert rows_read.equals(frame)


def test_csv_numbers_are_numbers_only_where_their_text_can_be_had_back(tmp_path: Path):
    source = tmp_path / "in.csv"
    source.write_text("instruction,output,stars,zip,price\na,b,4,007,0.5\nc,d,5,123,1.50\n")
    frame = read_rows(source).frame
    assert frame.select("stars", "zip", "price").dtypes == [pl.Int64, pl.String, pl.String]
    assert again(source, tmp_path / "out.csv").read_bytes() == source.read_bytes()


parquet_rows = st.lists(
    st.fixed_dictionaries(
        {
            "instruction": texts,
            "output": texts,
            "n": st.none() | st.integers(-(2**63), 2**63 - 1),
            "x": st.none() | st.floats(allow_nan=True),
            "tags": st.none() | st.lists(texts, max_size=3),
            "meta": st.none() | st.fixed_dictionaries({"k": st.none() | texts, "v": st.integers(0, 9)}),
        }
    ),
    min_size=1,
    max_size=6,
)
PARQUET = {
    "instruction": pl.String,
    "output": pl.String,
    "n": pl.Int64,
    "x": pl.Float64,
    "tags": pl.List(pl.String),
    "meta": pl.Struct({"k": pl.String, "v": pl.Int8}),
}


@check
@given(rows=parquet_rows)
def test_any_parquet_column_comes_back_exactly(tmp_path: Path, rows: list[dict[str, Any]]):
    frame = pl.DataFrame(rows, schema=PARQUET)
    frame.write_parquet(tmp_path / "in.parquet")
    back = pl.read_parquet(again(tmp_path / "in.parquet", tmp_path / "out.parquet"))
    assert back.schema == frame.schema
    assert back.equals(frame)


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_ending_of_the_target_decides_how_it_is_written(tmp_path: Path, ending: str):
    source = written(ROWS, tmp_path / "in.json")
    target = again(source, tmp_path / f"out{ending}")
    back = read_rows(target)
    assert back.layout.container == ending.split(".")[1]
    assert back.frame.select("instruction", "input", "output", "topic").to_dicts() == ROWS


def test_a_target_without_a_known_ending_takes_the_form_of_the_input(tmp_path: Path):
    source = written(ROWS, tmp_path / "in.json")
    assert again(source, tmp_path / "out.txt").read_text() == json.dumps(ROWS, indent=4)


@pytest.mark.parametrize("indent", [None, 1, 2, 4, "\t"])
@pytest.mark.parametrize("escaped", [True, False])
def test_a_json_array_keeps_its_look(tmp_path: Path, indent: int | str | None, escaped: bool):
    source = tmp_path / "in.json"
    source.write_text(json.dumps(ROWS, indent=indent, ensure_ascii=escaped), encoding="utf-8")
    assert again(source, tmp_path / "out.json").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("margin", ["", "  "])
def test_an_array_with_one_row_per_line_keeps_its_look(tmp_path: Path, margin: str):
    source = tmp_path / "in.json"
    source.write_text("[\n" + ",\n".join(margin + json.dumps(row) for row in ROWS) + "\n]")
    assert again(source, tmp_path / "out.json").read_bytes() == source.read_bytes()


def test_missing_null_and_empty_are_three_things(tmp_path: Path):
    rows = [{"instruction": "a", "output": "b", "note": note} for note in (None, "")]
    rows.append({"instruction": "c", "output": "d"})
    source = written(rows, tmp_path / "in.jsonl")
    assert plain(again(source, tmp_path / "out.jsonl")) == rows


def test_numbers_stay_the_kind_they_are(tmp_path: Path):
    lines = '{"instruction":"a","output":"b","score":1}\n{"instruction":"a","output":"b","score":2.0}\n'
    lines += '{"instruction":"a","output":"b","score":123456789012345678901234567890}\n'
    for count in (2, 3):
        source = tmp_path / "in.jsonl"
        source.write_text("".join(lines.splitlines(keepends=True)[:count]))
        back = plain(again(source, tmp_path / "out.jsonl"))
        assert [repr(r["score"]) for r in back] == ["1", "2.0", "123456789012345678901234567890"][:count]


def test_column_types_have_the_language_words():
    row = {"instruction": "a", "output": "b", "n": 1, "x": 0.5, "ok": True, "tags": ["t"], "meta": {"k": 1}}
    rows = read_rows([row])
    kinds = [kind_of(rows.frame.schema[name]) for name in rows.layout.columns]
    assert kinds == ["text", "text", "number", "number", "bool", "list", "any"]


def test_whole_and_fractional_numbers_share_a_number_column(tmp_path: Path):
    rows = [{"instruction": "a", "output": "b", "stars": s} for s in [3] * 20_001 + [4.5, 4.0, None, 4]]
    source = written(rows, tmp_path / "in.jsonl")
    assert read_rows(source).frame.schema["stars"] == pl.Float64
    assert exact(plain(again(source, tmp_path / "out.jsonl"))) == exact(rows)


def test_a_column_that_changes_type_late_stays_exact(tmp_path: Path):
    rows: list[dict[str, Any]] = [{"instruction": "a", "output": "b", "n": i} for i in range(20_001)]
    rows += [
        {"instruction": "a", "output": "b", "n": "many"},
        {"instruction": "a", "output": "b", "late": [1]},
    ]
    source = written(rows, tmp_path / "in.json")
    assert exact(plain(again(source, tmp_path / "out.json"))) == exact(rows)


def test_scores_follow_the_file_columns_and_nan_is_null(tmp_path: Path):
    rows = read_rows(written(ROWS, tmp_path / "in.json"))
    frame = rows.frame.with_columns(pl.Series("ifd", [0.5, math.nan, math.inf]))
    for name in ("out.json", "out.jsonl"):
        write_rows(frame, rows.layout, tmp_path / name, scores=["ifd"])
        back = plain(tmp_path / name)
        assert [list(row) for row in back] == [[*ROWS[0], "ifd"]] * 3
        assert [row["ifd"] for row in back] == [0.5, None, None]


def test_a_score_never_takes_the_place_of_a_file_column(tmp_path: Path):
    rows = read_rows(written(ROWS, tmp_path / "in.json"))
    with pytest.raises(DataError) as caught:
        write_rows(rows.frame, rows.layout, tmp_path / "out.json", scores=["topic"])
    assert caught.value.code == "E513"
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(
    "name",
    [
        "alpaca_random_5k.json",
        "alpaca_random_9k.json",
        "cherry_5pct.json",
        "dolly_3k.json",
        "eval/mmlu_devdata_1444.jsonl",
        "sharegpt_dummy_conversation.json",
        "wizardlm_qocs1000.json",
    ],
)
def test_published_datasets_come_back_byte_for_byte(shared: Path, tmp_path: Path, name: str):
    source = shared / "data" / name
    rows = read_rows(source)
    write_rows(rows.frame, rows.layout, tmp_path / "out")
    assert (tmp_path / "out").read_bytes().strip() == source.read_bytes().strip()


@pytest.mark.parametrize(
    "name", ["right.json", "right.jsonl", "right.csv", "right.parquet", "right.txt", "right"]
)
@pytest.mark.parametrize("kind", ["json", "jsonl", "csv", "parquet"])
@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
def test_content_counts_and_not_the_ending(tmp_path: Path, name: str, kind: str, packing: str):
    rows = read_rows(written(ROWS, tmp_path / "in.json"))
    made = tmp_path / f"made.{kind}{packing}"
    write_rows(rows.frame, rows.layout, made)
    found = read_rows(made.rename(tmp_path / name))
    assert found.layout.container == kind
    assert found.frame["@key"].equals(rows.frame["@key"])


def test_a_folder_and_a_pattern_are_read_in_the_order_of_names(tmp_path: Path):
    written(ROWS[:1], tmp_path / "1.json")
    written([{"instruction": "x", "output": "y"}], tmp_path / "2.jsonl")
    pl.DataFrame(ROWS[2:]).write_parquet(tmp_path / "3.parquet")
    (tmp_path / "notes.md").write_text("not data")
    rows = read_rows(tmp_path)
    assert sorted(rows.frame["instruction"]) == sorted(["Say hello", "x", "Grüße"])
    assert read_rows(str(tmp_path / "*.json*")).frame["instruction"].to_list() == ["Say hello", "x"]
    write_rows(rows.frame, rows.layout, tmp_path / "all.jsonl")
    assert {"instruction": "x", "output": "y"} in plain(tmp_path / "all.jsonl")


def test_any_fsspec_url_is_read_and_written(tmp_path: Path):
    memory = fsspec.filesystem("memory")
    memory.pipe("/set/a.json", json.dumps(ROWS).encode())
    rows = read_rows("memory://set/a.json")
    assert rows.frame.height == 3
    assert read_rows("memory://set/").frame.height == 3
    assert read_rows("memory://set/*.json").frame.height == 3
    write_rows(rows.frame, rows.layout, "memory://set/b.parquet")
    assert memory.ls("/set", detail=False) == ["/set/a.json", "/set/b.parquet"]
    assert read_rows("memory://set/b.parquet").frame["@key"].equals(rows.frame["@key"])


def test_a_byte_order_mark_and_windows_line_ends_are_no_content(tmp_path: Path):
    lines = "\r\n".join(json.dumps(row) for row in ROWS)
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + lines.encode())
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(ROWS).encode())
    assert read_rows(tmp_path / "a.jsonl").frame["@key"].equals(read_rows(tmp_path / "a.json").frame["@key"])


def test_rows_may_be_a_frame_or_a_list():
    from_list = read_rows(ROWS)
    assert from_list.layout.container == "jsonl"
    assert read_rows(pl.DataFrame(ROWS)).frame["@key"].equals(from_list.frame["@key"])


def packed_rows(kind: str) -> bytes:
    content = "".join(
        json.dumps({"instruction": f"a{n}", "output": "b" * n}) + "\n" for n in range(999)
    ).encode()
    return gzip.compress(content) if kind == "gz" else zstandard.ZstdCompressor().compress(content)


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_a_cut_off_archive_is_said(tmp_path: Path, kind: str):
    source = tmp_path / f"a.jsonl.{kind}"
    source.write_bytes(packed_rows(kind)[:-20])
    with pytest.raises(DataError, match="is cut off or damaged") as caught:
        read_rows(source)
    assert caught.value.code == "E505"


def test_a_cut_off_array_is_said_with_its_line(tmp_path: Path):
    source = tmp_path / "a.json"
    source.write_text(json.dumps(ROWS, indent=2)[:-50])
    with pytest.raises(DataError) as caught:
        read_rows(source)
    assert caught.value.code == "E505"
    assert "line 14" in caught.value.notes[0]


def test_a_cut_off_parquet_file_is_said(tmp_path: Path):
    buffer = io.BytesIO()
    pl.DataFrame(ROWS).write_parquet(buffer)
    (tmp_path / "a.parquet").write_bytes(buffer.getvalue()[:-30])
    with pytest.raises(DataError) as caught:
        read_rows(tmp_path / "a.parquet")
    assert caught.value.code == "E505"


BAD = '{"instruction":"a","output":"b"}\n{"instruction":"a","outp\n\n{"instruction":"c","output":"d"}\n17\n'


def test_bad_lines_are_counted_and_named(tmp_path: Path):
    source = tmp_path / "a.jsonl"
    source.write_text(BAD)
    with pytest.raises(DataError) as caught:
        read_rows(source)
    assert str(caught.value) == (
        f"error[E504]: line 2 of `{source}` is not a row, nor are 1 more\n"
        f"  = note: {source}:2: Invalid control character at at column 25\n"
        f"  = note: {source}:5: a number where an object is wanted\n"
        "  = help: correct the lines, or leave them out with `--on-bad-row skip`"
    )


def test_bad_lines_are_left_out_on_request_and_counted(tmp_path: Path):
    source = tmp_path / "a.jsonl"
    source.write_text(BAD + '{"instruction":"\\ud800","output":""}\n')
    rows = read_rows(source, on_bad_row="skip")
    assert rows.frame["instruction"].to_list() == ["a", "c"]
    assert [row.line for row in rows.skipped] == [2, 5, 6]


@pytest.mark.parametrize(
    "content",
    [
        '{"instruction":"a","output":"b"},{"instruction":"c","output":"d"}\n{}\n',
        '{"instruction":"a","output":"b"}\n{"instruction":"a","output":[1\n2]}\n',
    ],
)
def test_two_broken_lines_never_make_one_good_row(tmp_path: Path, content: str):
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(DataError) as caught:
        read_rows(tmp_path / "a.jsonl")
    assert caught.value.code == "E504"


def test_a_broken_row_inside_an_array_is_said_with_its_place(tmp_path: Path):
    source = tmp_path / "a.json"
    source.write_text('[\n {"instruction":"a","output":"b"},\n {"instruction":"a" "output":"b"},\n {}\n]')
    with pytest.raises(DataError, match="line 3 of") as caught:
        read_rows(source)
    assert caught.value.code == "E504"


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", "E507", "is empty"),
        (b" \n ", "E507", "is empty"),
        (b"[]", "E507", "has no rows"),
        (b"instruction,output\n", "E507", "has no rows"),
        (b"%PDF-1.7 ...", "E503", "a PDF document"),
        (b"<html><body>404</body></html>", "E503", "markup that begins with `<html>"),
        (b"\x00\x01\x02\x03", "E503", "binary data"),
        (b"Once upon a time", "E503", "text that begins with `Once upon a time`"),
        (b'{\n  "data": [\n    {"instruction": "a", "output": "b"}]}', "E503", "one JSON object"),
        (b'[{"question": "a", "answer": "b"}]', "E506", "`question`, `answer`"),
        (b'[{"instruction": "a"}]', "E506", "`instruction`"),
        (b'[{"instruction": "a", "output": null}]', "E512", "no row of"),
        (b'[{"instruction": "a", "output": "b", "@id": 1}]', "E508", "`@id`"),
        (b'[{"instruction": "\xff", "output": "b"}]', "E510", "line 1"),
        (b"instruction,output\na,b,c\nd,e\n", "E511", "line 2 has 3 cells, the header has 2"),
    ],
)
def test_content_that_cannot_be_used_is_described(tmp_path: Path, content: bytes, code: str, words: str):
    source = tmp_path / "a.json"
    source.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_rows(source)
    assert caught.value.code == code
    assert words in str(caught.value)


def test_a_missing_file_lists_names_near_it(tmp_path: Path):
    written(ROWS, tmp_path / "alpaca.json")
    with pytest.raises(DataError) as caught:
        read_rows(tmp_path / "alpacca.json")
    assert caught.value.code == "E501"
    assert f"`{tmp_path / 'alpaca.json'}`" in caught.value.help[0]


def test_an_unknown_file_system_is_said():
    with pytest.raises(DataError) as caught:
        read_rows("nosuch://a/b.json")
    assert caught.value.code == "E502"


def test_rows_without_a_response_are_kept(tmp_path: Path):
    rows = [*ROWS, {"instruction": "only asked"}, {"output": "only answered"}]
    frame = read_rows(written(rows, tmp_path / "a.jsonl")).frame
    assert frame.select("@prompt", "@response").rows()[-2:] == [("only asked", None), (None, "only answered")]


def test_an_unknown_shape_lists_the_known_ones():
    with pytest.raises(DataError) as caught:
        read_rows(ROWS, shape="alpacca")
    assert caught.value.code == "E514"


@pytest.mark.parametrize("name", ["*", "^in.*$", "^*$"])
def test_a_column_named_like_a_pattern_is_one_column(name: str, tmp_path: Path):
    rows = [{name: None, "instruction": "a", "output": "b"}, {name: 3, "instruction": "c", "output": "d"}]
    source = written(rows, tmp_path / "in.jsonl")
    assert plain(again(source, tmp_path / "out.jsonl")) == rows
    kept = selrun.run(f"filter `{name}` > 1", source, store=tmp_path / "store").rows
    assert kept.rows(named=True) == rows[1:]
    held = f'contains(`{name}`, "3") and len(`{name}`) == 1'
    assert selrun.run(f"filter {held}", source, store=tmp_path / "store").rows.height == 1


def test_columns_of_every_type_have_a_fingerprint(tmp_path: Path):
    odd = {
        "raw": [b"\xff", None],
        "pictures": [[{"bytes": b"\xff", "path": "a.png"}], []],
        "took": [timedelta(days=1), None],
        "price": [Decimal("1.5"), None],
        "empty": [None, None],
    }
    source = tmp_path / "rows.parquet"
    pl.DataFrame({"instruction": ["a", "b"], "output": ["c", "d"], **odd}).write_parquet(source)
    rows = read_rows(source)
    assert rows.fingerprint == read_rows(source).fingerprint
    for name in odd:
        swapped = pl.read_parquet(source).with_columns(pl.col(name).reverse())
        assert (read_rows(swapped).fingerprint == rows.fingerprint) is (name == "empty")


def test_a_line_nested_too_deeply_is_no_row(tmp_path: Path):
    (tmp_path / "rows.jsonl").write_text(
        '{"a": ' + "[" * 50_000 + "\n" + '{"instruction": "a", "output": "b"}\n'
    )
    with pytest.raises(DataError) as found:
        read_rows(tmp_path / "rows.jsonl")
    assert (found.value.code, found.value.notes) == (
        "E504", (f"{tmp_path / 'rows.jsonl'}:1: nested too deeply",)
    )  # fmt: skip
