"""The command line: what it prints, and with which exit code it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from selrun.runtime import cli

ROWS = [
    {"instruction": "Name a city.", "output": "Oslo"},
    {"instruction": "Name a river.", "output": "The Nile"},
    {"instruction": "Name a hill.", "output": "Arthur's Seat"},
]
HEAVY = ("torch", "polars", "networkx", "numpy", "sklearn", "transformers", "rich")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with rows and a recipe, and a store of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SELRUN_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    (tmp_path / "long.sel").write_text("score length | top 2 by length\n")
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command line."""
    code = cli.main(words)
    found = capsys.readouterr()
    return code, found.out, found.err


# Running


def test_a_recipe_needs_no_command(capsys: pytest.CaptureFixture[str], folder: Path):
    code, _, _ = said(capsys, "long.sel", "--data", "rows.jsonl")
    assert code == 0
    kept = [json.loads(line)["output"] for line in (folder / "long.selected.jsonl").read_text().splitlines()]
    assert kept == ["Arthur's Seat", "The Nile"]


def test_run_may_be_written(capsys: pytest.CaptureFixture[str], folder: Path):
    code, out, _ = said(capsys, "run", "long.sel", "--data", "rows.jsonl", "--out", "o.jsonl")
    assert code == 0
    assert out.startswith("3 rows in, 2 kept (66.7 %)\n")
    assert {path.name for path in folder.glob("o.jsonl*")} == {
        "o.jsonl", "o.jsonl.manifest.json", "o.jsonl.history.parquet",
    }  # fmt: skip


def test_options_may_stand_between_recipes(capsys: pytest.CaptureFixture[str], folder: Path):
    (folder / "short.sel").write_text("score length | bottom 1 by length\n")
    assert said(capsys, "long.sel", "--data", "rows.jsonl", "short.sel", "--quiet") == (0, "", "")
    assert (folder / "long.selected.jsonl").exists()
    assert (folder / "short.selected.jsonl").exists()


def test_a_recipe_may_stand_on_the_command_line(capsys: pytest.CaptureFixture[str], folder: Path):
    code, _, _ = said(capsys, "-e", "top 1 by len(response)", "--data", "rows.jsonl", "--out", "o.jsonl")
    assert code == 0
    assert json.loads((folder / "o.jsonl").read_text())["output"] == "Arthur's Seat"


def test_quiet_prints_nothing(capsys: pytest.CaptureFixture[str]):
    assert said(capsys, "long.sel", "--data", "rows.jsonl", "--quiet") == (0, "", "")


def test_parameters_are_given_by_name(capsys: pytest.CaptureFixture[str], folder: Path):
    (folder / "some.sel").write_text("param n: count = 1\ntop n by len(response)\n")
    said(capsys, "some.sel", "--data", "rows.jsonl", "--out", "o.jsonl", "-p", "n=3", "--quiet")
    assert len((folder / "o.jsonl").read_text().splitlines()) == 3


def test_the_seed_decides_what_is_drawn(capsys: pytest.CaptureFixture[str], folder: Path):
    drawn = set()
    for seed in ("1", "2", "3", "4", "5", "6"):
        said(capsys, "-e", "sample 1", "--data", "rows.jsonl", "--out", "o.jsonl", "--seed", seed, "--quiet")
        drawn.add((folder / "o.jsonl").read_text())
    assert len(drawn) > 1


def test_events_are_appended_as_json(capsys: pytest.CaptureFixture[str], folder: Path):
    said(capsys, "long.sel", "--data", "rows.jsonl", "--events", "events.jsonl", "--quiet")
    events = [json.loads(line)["event"] for line in (folder / "events.jsonl").read_text().splitlines()]
    assert (events[0], events[-1]) == ("run_started", "run_done")


def test_bad_rows_stop_a_run_unless_they_may_be_skipped(capsys: pytest.CaptureFixture[str], folder: Path):
    lines = (folder / "rows.jsonl").read_text()
    (folder / "bad.jsonl").write_text(lines + '{"instruction": \n' + lines)
    code, _, err = said(capsys, "long.sel", "--data", "bad.jsonl")
    assert code == 2
    assert "line 4 of `bad.jsonl` is not a row" in err
    code, out, _ = said(capsys, "long.sel", "--data", "bad.jsonl", "--on-bad-row", "skip")
    assert code == 0
    assert "1 dropped: cannot be read" in out


def test_a_dry_run_writes_nothing(capsys: pytest.CaptureFixture[str], folder: Path):
    code, out, _ = said(capsys, "long.sel", "--data", "rows.jsonl", "--dry-run")
    assert code == 0
    assert "score length" in out
    assert list(folder.glob("*.selected*")) == []


def test_no_rules_gives_the_same_rows(capsys: pytest.CaptureFixture[str], folder: Path):
    said(capsys, "long.sel", "--data", "rows.jsonl", "--out", "a.jsonl", "--quiet")
    said(capsys, "long.sel", "--data", "rows.jsonl", "--out", "b.jsonl", "--quiet", "--no-rules")
    assert (folder / "a.jsonl").read_bytes() == (folder / "b.jsonl").read_bytes()


def test_saving_outside_the_folder_has_to_be_allowed(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    away = tmp_path.parent / f"{tmp_path.name}-away.jsonl"
    words = ("-e", f'top 1 by len(response) | save "{away}"', "--data", "rows.jsonl", "--quiet")
    assert said(capsys, *words)[0] == 2
    assert not away.exists()
    assert said(capsys, *words, "--allow-write")[0] == 0
    assert away.exists()


def test_a_locked_run_refuses_other_data(capsys: pytest.CaptureFixture[str], folder: Path):
    words = ("long.sel", "--data", "rows.jsonl", "--out", "o.jsonl", "--quiet")
    assert said(capsys, *words)[0] == 0
    assert said(capsys, *words, "--locked")[0] == 0
    with (folder / "rows.jsonl").open("a") as file:
        file.write('{"instruction": "Name a sea.", "output": "The Baltic Sea"}\n')
    code, _, err = said(capsys, *words, "--locked")
    assert code == 2
    assert err.startswith("error[E541]")


# Failing


def test_problems_of_the_recipe_end_with_1(capsys: pytest.CaptureFixture[str]):
    code, out, err = said(capsys, "-e", "score length | top 2 by lenght", "--data", "rows.jsonl")
    assert (code, out) == (1, "")
    assert err == (
        "error[E203]: no column is called `lenght`\n"
        "  ┌─ recipe:1:25\n"
        "  │\n"
        "1 │ score length | top 2 by lenght\n"
        "  │       ------ `length` is written here\n"
        "  │                         ^^^^^^ unknown column\n"
        "  = help: a column with a similar name exists: `length`\n"
        "\n"
        "1 problem; nothing was run\n"
    )


def test_missing_data_ends_with_2(capsys: pytest.CaptureFixture[str]):
    code, _, err = said(capsys, "long.sel", "--data", "row.jsonl")
    assert code == 2
    assert err == (
        "error[E501]: no file is at `row.jsonl`\n  = help: a file with a similar name exists: `rows.jsonl`\n"
    )


def test_a_recipe_that_is_not_there_is_shown_at_its_word(capsys: pytest.CaptureFixture[str]):
    assert said(capsys, "log.sel", "--data", "rows.jsonl") == (
        1,
        "",
        "error[E220]: no recipe is at `log.sel`\n"
        "  ┌─ command line:1:8\n"
        "  │\n"
        "1 │ selrun log.sel --data rows.jsonl\n"
        "  │        ^^^^^^^ no such file\n"
        "  = help: a file with a similar name exists: `long.sel`\n"
        "\n"
        "1 problem; nothing was run\n",
    )


USAGE = {
    ("chek", "long.sel"): "error: no command is called `chek`\n"
    "  = help: a command with a similar name exists: `check`, `cache`\n",
    ("long.sel", "--dta", "rows.jsonl"): "error: `selrun run` has no flag `--dta`\n"
    "  = help: a flag with a similar name exists: `--data`, `--dtype`, `--out`\n",
    ("run",): "error: no recipe is named\n  = help: write `selrun [run] RECIPE… | -e 'TEXT' [options]`\n",
    ("check",): "error: no recipe is named\n"
    "  = help: name a recipe file, or write one: `-e 'top 5% by len(response)'`\n",
    ("long.sel", "-p", "n"): "error: `-p n` is no name and value\n  = help: write `name=value`\n",
    ("long.sel", "--model", "a=b", "--model", "a=c"): "error: `--model a` is given twice\n"
    "  = help: leave one out\n",
    ("long.sel", "--data"): "error: `--data`: a value is wanted after it\n"
    "  = help: the options are listed by `selrun run --help`\n",
    ("ops", "idf"): "error: no operation is called `idf`\n"
    "  = help: an operation with a similar name exists: `ifd`\n",
    ("ops", "cherry"): "error: `cherry` is a method\n  = help: see `selrun methods cherry`\n",
    ("methods", "chery"): "error: no method is called `chery`\n"
    "  = help: a method with a similar name exists: `cherry`\n",
    ("cache", "lst"): "error: `selrun cache` cannot `lst`\n"
    "  = help: an action with a similar name exists: `list`\n",
    ("why", "abc"): "error: `abc` is not a code, and no run is named\n"
    "  = help: write `selrun why E203`, or `selrun why abc --run FILE` with the output of a run\n",
    ("why",): "error: neither a code nor a row is named\n"
    "  = help: write `selrun why E203`, or `selrun why ROW-ID --run FILE`\n",
}  # fmt: skip


@pytest.mark.parametrize("words", USAGE, ids=" ".join)
def test_a_command_line_that_means_nothing_ends_with_2(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
):
    assert said(capsys, *words) == (2, "", USAGE[words])


def test_a_mistake_of_our_own_is_not_hidden(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def broken(*_: object) -> int:
        raise ZeroDivisionError("there it is")

    monkeypatch.setattr("selrun.runtime.commands.ops", broken)
    code, _, err = said(capsys, "ops")
    assert code == 70
    assert "a mistake in selrun itself: ZeroDivisionError: there it is (test_cli.py:" in err
    assert "Traceback" not in err
    assert "Traceback" in said(capsys, "ops", "--debug")[2]


def test_a_panic_of_a_library_is_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    from polars.exceptions import PanicException

    def broken(*_: object) -> int:
        raise PanicException("not yet implemented")

    monkeypatch.setattr("selrun.runtime.commands.ops", broken)
    code, _, err = said(capsys, "ops")
    assert code == 70
    assert "a mistake in selrun itself: PanicException: not yet implemented" in err
    assert "Traceback" not in err


def test_an_interrupted_run_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def stopped(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("selrun.runtime.commands.run", stopped)
    assert said(capsys, "long.sel", "--data", "a b.jsonl") == (
        3,
        "",
        "\ninterrupted; what was computed is stored\n"
        "  = help: run the same command again to continue: selrun long.sel --data 'a b.jsonl'\n",
    )


def test_a_budget_that_is_spent_ends_with_4(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    from selrun.errors import BudgetError

    def spent(*_: object) -> int:
        raise BudgetError(
            "E401", "going on would cost $6, and $5 is allowed", help="allow more: `budget = $6`"
        )

    monkeypatch.setattr("selrun.runtime.commands.run", spent)
    code, _, err = said(capsys, "long.sel")
    assert (code, err.splitlines()[0]) == (4, "error[E401]: going on would cost $6, and $5 is allowed")


# Checking


def test_a_clean_recipe_has_no_problems(capsys: pytest.CaptureFixture[str]):
    assert said(capsys, "check", "long.sel") == (0, "long.sel: no problems\n", "")


def test_all_problems_are_reported_in_one_run(capsys: pytest.CaptureFixture[str]):
    recipe = "score idf using gpt2 | top 150% by len(response)"
    code, out, _ = said(capsys, "check", "--format", "concise", "-e", recipe)
    assert code == 1
    assert out == (
        "recipe:1:7: error[E202]: `score` has no noun called `idf`\n"
        "recipe:1:28: error[E302]: `keep` of `top` cannot be 150%\n"
    )


def test_problems_come_as_json(capsys: pytest.CaptureFixture[str]):
    code, out, _ = said(capsys, "check", "--format", "json", "-e", "score length | top 2 by lenght")
    assert code == 1
    assert [(each["code"], each["labels"][0]["column"]) for each in json.loads(out)] == [("E203", 25)]
    assert json.loads(said(capsys, "check", "--format", "json", "long.sel")[1]) == []


def test_problems_come_as_annotations(capsys: pytest.CaptureFixture[str]):
    _, out, _ = said(capsys, "check", "--format", "github", "-e", "score length | top 2 by lenght")
    assert out.startswith("::error file=recipe,line=1,col=25,endLine=1,endColumn=31,title=E203::")


def test_a_check_knows_the_columns_of_a_file_that_is_named(capsys: pytest.CaptureFixture[str]):
    words = ("check", "--format", "concise", "-e")
    assert said(capsys, *words, 'load "rows.jsonl" | filter output != ""')[0] == 0
    assert said(capsys, *words, 'load "rows.jsonl" | filter outputs != ""')[0] == 1
    assert said(capsys, *words, 'filter outputs != ""', "--data", "rows.jsonl")[0] == 1
    assert said(capsys, *words, 'filter outputs != ""')[0] == 0


def test_a_check_finds_a_recipe_that_is_used(capsys: pytest.CaptureFixture[str], folder: Path):
    (folder / "mine.sel").write_text("method longer(n: count) = top n by len(response)\n")
    assert said(capsys, "check", "-e", 'use "mine.sel" as mine\nmine.longer(2)')[0] == 0
    assert "E515" in said(capsys, "check", "-e", 'use "mind.sel" as mine\nmine.longer(2)')[1]


def test_a_check_reads_the_names_of_models(capsys: pytest.CaptureFixture[str], folder: Path):
    words = ("check", "--format", "concise", "-e", "score ifd using mine | top 2")
    assert "E204" in said(capsys, *words)[1]
    assert said(capsys, *words, "--model", "mine=org/mine")[0] == 0
    (folder / "selrun.toml").write_text('[models]\nmine = "org/mine"\n')
    assert said(capsys, *words)[0] == 0


def test_a_check_imports_nothing_heavy():
    look = "import sys; from selrun.runtime.cli import main; main(); print([m for m in {heavy} if m in sys.modules])"
    recipe = 'load "rows.jsonl" | score ifd using warmup(llama2-7b, 5%) | diversify kmeans(100) | top 0.05'
    done = subprocess.run(
        [sys.executable, "-c", look.format(heavy=HEAVY), "check", "-e", recipe],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "recipe: no problems\n[]\n"


# Formatting


def test_formatting_rewrites_files(capsys: pytest.CaptureFixture[str], folder: Path):
    (folder / "wild.sel").write_text("score   length|top 2   by length  # the two longest\n")
    assert said(capsys, "fmt", "--check", "wild.sel") == (1, "wild.sel is not in its canonical form\n", "")
    assert said(capsys, "fmt", "wild.sel") == (0, "wild.sel formatted\n", "")
    text = (folder / "wild.sel").read_text()
    assert "# the two longest" in text
    assert said(capsys, "fmt", "--check", "wild.sel") == (0, "", "")
    assert said(capsys, "fmt", "wild.sel") == (0, "", "")
    assert (folder / "wild.sel").read_text() == text


def test_a_difference_is_shown_and_not_made(capsys: pytest.CaptureFixture[str], folder: Path):
    (folder / "wild.sel").write_text("top 2   by length\n")
    code, out, _ = said(capsys, "fmt", "--diff", "wild.sel")
    assert code == 1
    assert out == (
        "--- wild.sel\n+++ wild.sel (formatted)\n@@ -1 +1 @@\n-top 2   by length\n+top 2 by length\n"
    )
    assert (folder / "wild.sel").read_text() == "top 2   by length\n"


def test_a_recipe_with_a_mistake_is_not_formatted(capsys: pytest.CaptureFixture[str], folder: Path):
    (folder / "bad.sel").write_text("top  2 by by length\n")
    code, out, _ = said(capsys, "fmt", "bad.sel")
    assert code == 1
    assert "bad.sel:1:" in out
    assert (folder / "bad.sel").read_text() == "top  2 by by length\n"


# Describing


def test_every_operation_is_listed_and_described(capsys: pytest.CaptureFixture[str]):
    from selrun.runtime.reference import operations

    listed = said(capsys, "ops")[1]
    for each in operations():
        assert (each.noun or each.verb) in listed
        assert each.title.split(".")[0][:60] in " ".join(
            said(capsys, "ops", each.noun or each.verb)[1].split()
        )


def test_an_operation_is_described_with_all_its_parameters(capsys: pytest.CaptureFixture[str]):
    code, out, _ = said(capsys, "ops", "ifd")
    assert code == 0
    for word in ("variant", "using …", "with template =", "with faithful =", "no value", "paper", "example"):
        assert word in out


def test_a_verb_lists_its_nouns(capsys: pytest.CaptureFixture[str]):
    listed = said(capsys, "ops", "dedup")[1].splitlines()
    nouns = [line.split()[0] for line in listed if not line.startswith("   ")]
    assert nouns == ["dedup", "decontaminate", "exact", "minhash", "semdedup"]
    assert said(capsys, "ops", "embed")[1].startswith("embed\n\nThe vector that ")
    code, _, err = said(capsys, "ops", "generate")
    assert (code, err.splitlines()[0]) == (2, "error: nothing installed can `generate`")


@pytest.mark.parametrize("words", [("ops",), ("ops", "repr"), ("methods",), ("methods", "instruction_gpt4")])
def test_lists_and_descriptions_fit_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
):
    monkeypatch.setenv("COLUMNS", "80")
    shown = said(capsys, *words)[1].partition("\ndefinition\n")[0].partition("\nexample\n")[0]
    assert [line for line in shown.splitlines() if len(line) > 80] == []
    assert "…" not in shown or words == ("ops", "repr")


def test_every_method_is_listed_and_described(capsys: pytest.CaptureFixture[str]):
    from selrun.runtime.reference import methods

    listed = said(capsys, "methods")[1]
    for method in methods():
        assert f"{method.name}(" in listed
        assert f"method {method.name}(" in said(capsys, "methods", method.name)[1]


def test_the_page_of_a_code_is_printed(capsys: pytest.CaptureFixture[str]):
    assert said(capsys, "why", "e220")[1].startswith("# E220: no recipe there\n")


def test_the_store_is_listed_and_verified(capsys: pytest.CaptureFixture[str], folder: Path):
    assert said(capsys, "cache", "list") == (0, f"the store at {folder / 'store'} is empty\n", "")
    assert said(capsys, "cache", "verify")[0] == 0
    assert said(capsys, "cache", "prune", "--older-than", "30d")[0] == 0
    code, _, err = said(capsys, "cache", "prune", "--older-than", "soon")
    assert (code, err.splitlines()[0]) == (2, "error[E615]: cannot read 'soon' as an age")


def test_help_lists_commands_and_options(capsys: pytest.CaptureFixture[str]):
    assert "explain" in said(capsys, "--help")[1]
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "--help"])
    assert ended.value.code == 0
    assert "--on-bad-row" in capsys.readouterr().out
    assert said(capsys, "--version")[1].startswith("selrun ")


def test_a_closed_pipe_is_no_mistake():
    done = subprocess.run(
        f"{sys.executable} -m selrun ops | head -n 1",
        shell=True, capture_output=True, text=True, env=os.environ,
    )  # fmt: skip
    assert (done.stdout.count("\n"), done.stderr) == (1, "")
