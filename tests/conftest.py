"""Fixtures that every folder of tests may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from parity.table import LINE, table

ROOT = Path(__file__).resolve().parents[1]

# A test may take as long as it likes, and draws the same examples every time; `SELRUN_RANDOM=1` draws new ones.
settings.register_profile("suite", deadline=None, derandomize="SELRUN_RANDOM" not in os.environ)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data and tiny models that may lie beside the repository."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the reference data is not beside the repository")
    return folder


@pytest.fixture(scope="session")
def tasks() -> Path:
    """The example dataset."""
    return ROOT / "examples" / "tasks.jsonl"


@pytest.fixture
def tmp_store(tmp_path: Path) -> Path:
    """A store of the test's own."""
    return tmp_path / "store"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Ends the suite with the table of parity."""
    found = sorted(claims(terminalreporter))
    if found:
        terminalreporter.section("parity")
        for line in table(found):
            terminalreporter.write_line(line)


def claims(terminalreporter: pytest.TerminalReporter) -> Iterator[tuple[str, ...]]:
    """What the tests of parity recorded, in whichever process they ran."""
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.getreports(outcome):
            yield from (tuple(value) for name, value in report.user_properties if name == LINE)
