"""The pages about data show files that really cannot be read, each for the reason that the page gives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from selrun.errors import DataError
from selrun.runtime.rows import read_rows, write_rows

PAGES = Path(__file__).resolve().parents[2] / "dsl" / "pages"
READING = ["E501", "E502", "E503", "E504", "E505", "E506", "E507", "E508", "E511", "E512"]


def set_up(code: str, folder: Path) -> str:
    """The page's files written to a folder, and the source that its command line reads."""
    page = (PAGES / f"{code}.md").read_text(encoding="utf-8")
    for name, text in re.findall(r"```file (\S+)\n(.*?)\n```", page, re.DOTALL):
        (folder / name).write_text(text + "\n", encoding="utf-8")
    found = re.search(r"```console \w+\n.*--data (\S+)", page)
    assert found is not None
    return found.group(1)


@pytest.mark.parametrize("code", READING)
def test_the_file_of_a_page_gives_its_code(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        read_rows(set_up(code, tmp_path))
    assert caught.value.code == code


def test_a_column_in_the_way_of_another_shape_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    rows = read_rows(set_up("E513", tmp_path))
    with pytest.raises(DataError) as caught:
        write_rows(rows.frame, rows.layout, "out.jsonl", shape="messages")
    assert caught.value.code == "E513"
