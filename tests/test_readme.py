"""What the README tells a reader to type exists."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from selrun.compiler.catalogue import catalogue
from selrun.compiler.check import check_text
from selrun.dsl.pages import examples
from selrun.runtime.cli import main

ROOT = Path(__file__).resolve().parents[1]
TRACED = "docs/read-the-manifest.md"
GUIDES = ("docs/first-selection.md", "docs/choose-a-method.md", "docs/limits.md", TRACED)
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/README.md",
    "docs/architecture.md",
    "docs/add-a-scorer.md",
    *GUIDES,
)
MODELS = ("llama2-7b", "gpt2")


def commands(page: str) -> list[str]:
    """The command lines of a page's console blocks."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def targets() -> set[str]:
    return set(re.findall(r"^([\w.-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


ALL = [(page, command) for page in PAGES for command in commands(page)]
BY_HAND = ("docs/add-a-scorer.md", TRACED)
"""The page on scorers runs the one that its reader has just written; the other is carried out, below."""
SELRUN = sorted({c for page, c in ALL if c.startswith("selrun ") and page not in BY_HAND})


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


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of all commands, so that `nano` is measured once."""
    return tmp_path_factory.mktemp("store")


@pytest.mark.parametrize("command", SELRUN)
def test_selrun_commands_are_understood(command: str, tasks: Path, store: Path):
    done = subprocess.run(rehearsed(command, tasks, store), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def rehearsed(command: str, tasks: Path, folder: Path) -> list[str]:
    """The command with files and models that are here, and nothing run."""
    here = {"alpaca.json": str(tasks), "llama2-7b=./my-model": "llama2-7b=nano"}
    words = [here.get(word, word) for word in shlex.split(command)[1:]]
    if "--data" in words:
        named = [name for name in MODELS if f"{name}=nano" not in words]
        words += [word for name in named for word in ("--model", f"{name}=nano")]
    if "--out" in words:
        words += ["--dry-run", "--store", str(folder)]
    if words[0] == "explain":
        words += ["--store", str(folder)]
    return [str(Path(sys.executable).with_name("selrun")), *words]


def test_the_page_on_manifests_can_be_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    assert [main(shlex.split(command)[1:]) for command in commands(TRACED)] == [0, 0, 0]
    shown = re.search(r"```text\n(.*?)```", (ROOT / TRACED).read_text(encoding="utf-8"), re.DOTALL)
    assert shown
    assert shown[1].strip() in capsys.readouterr().out
    manifest = json.loads(Path("longest.jsonl.manifest.json").read_text("utf-8"))
    named = re.findall(r"^\| (`.*?) \|", (ROOT / TRACED).read_text(encoding="utf-8"), re.MULTILINE)
    fields = {name for cell in named for name in re.findall(r"`(\w+)`", cell)}
    assert fields <= set(manifest)
    assert set(manifest) - fields <= {"format", "dollars", "finished"}


@pytest.mark.parametrize("page", GUIDES)
def test_the_recipes_of_a_guide_check_clean(page: str):
    recipes = [each.text for each in examples((ROOT / page).read_text("utf-8")) if each.kind == "sel"]
    assert [check_text(recipe) for recipe in recipes] == [[] for _ in recipes]


def test_the_index_names_every_page():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md", "errors.md"}
    assert [page for page in sorted(pages) if f"({page})" not in index] == []


def test_the_guide_to_methods_names_every_method():
    guide = (ROOT / "docs" / "choose-a-method.md").read_text(encoding="utf-8")
    apart = {"perplexity_low", "perplexity_middle", "perplexity_high"}
    apart |= {"diverseevol_round", "instruction_mining_v1", "instruction_gpt4_trained"}
    assert [name for name in sorted(set(catalogue().methods) - apart) if f"`{name}`" not in guide] == []


def test_the_numbers_of_example_rows_are_true(tasks: Path):
    lines = tasks.read_text(encoding="utf-8").splitlines()
    planted = sum('"defect": null' not in line for line in lines)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"{len(lines)} rows" in readme
    assert f"{planted} carry" in readme
