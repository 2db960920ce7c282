"""The command lines on the pages of codes print these codes."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from selrun.dsl.pages import Example, codes, examples, page
from selrun.runtime import cli


def situations() -> list[tuple[str, int, list[Example]]]:
    """Of each command line on a page: the code, its number there, and all blocks of the page."""
    found = []
    for code in codes():
        blocks = list(examples(page(code)))
        consoles = [at for at, block in enumerate(blocks) if block.kind == "console"]
        found += [(code, at, blocks) for at in consoles]
    return found


SITUATIONS = situations()


@pytest.mark.parametrize(
    ("code", "at", "blocks"), SITUATIONS, ids=[f"{code}-{at}" for code, at, _ in SITUATIONS]
)
def test_a_command_on_a_page_prints_its_code(
    code: str, at: int, blocks: list[Example], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("SELRUN_STORE", str(tmp_path / ".store"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    for block in blocks:
        if block.kind == "file":
            target = tmp_path / block.about
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, encoding="utf-8")
    words = shlex.split(blocks[at].text)
    assert words[0] == "selrun"
    cli.main(words[1:])
    printed = capsys.readouterr()
    assert blocks[at].about == code
    assert f"[{code}]" in printed.out + printed.err, printed.out + printed.err
