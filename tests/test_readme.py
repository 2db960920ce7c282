"""What the README tells a reader to type exists."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "docs/README.md", "docs/architecture.md", "docs/add-a-scorer.md")


def commands(page: str) -> list[str]:
    """The command lines of a page's console blocks."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def targets() -> set[str]:
    return set(re.findall(r"^([\w.-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


ALL = [(page, command) for page in PAGES for command in commands(page)]
SELRUN = sorted({c for page, c in ALL if c.startswith("selrun ") and page != "docs/add-a-scorer.md"})
"""The page on scorers runs the one that its reader has just written."""


def test_the_readme_starts_with_make_demo_and_make_test():
    assert commands("README.md")[:2] == ["make demo", "make test"]


@pytest.mark.parametrize("target", sorted({c.split()[1] for _, c in ALL if c.startswith("make ")}))
def test_make_targets_exist(target: str):
    assert target in targets()


def test_every_command_is_make_or_selrun():
    assert [c for _, c in ALL if shlex.split(c)[0] not in {"make", "selrun"}] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str):
    found = re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in found if not ((ROOT / page).parent / link).exists()] == []


@pytest.mark.parametrize("command", SELRUN)
def test_selrun_commands_are_understood(command: str, tasks: Path, tmp_path: Path):
    done = subprocess.run(rehearsed(command, tasks, tmp_path), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def rehearsed(command: str, tasks: Path, folder: Path) -> list[str]:
    """The command with files and models that are here, and nothing run."""
    here = {"alpaca.json": str(tasks), "llama2-7b=./my-model": "llama2-7b=nano"}
    words = [here.get(word, word) for word in shlex.split(command)[1:]]
    if "llama2-7b=nano" not in words and "--data" in words:
        words += ["--model", "llama2-7b=nano"]
    if "--out" in words:
        words += ["--dry-run", "--store", str(folder)]
    return [str(Path(sys.executable).with_name("selrun")), *words]


def test_the_numbers_of_example_rows_are_true(tasks: Path):
    lines = tasks.read_text(encoding="utf-8").splitlines()
    planted = sum('"defect": null' not in line for line in lines)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"{len(lines)} rows" in readme
    assert f"{planted} carry" in readme
