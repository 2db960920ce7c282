"""Prints the table of claims after the tests that compared them."""

from __future__ import annotations

import pytest

from parity.claim import Claim, Verdict
from parity.table import table

COMPARED = pytest.StashKey[dict[Claim, Verdict | None]]()


@pytest.fixture(scope="session")
def compared(pytestconfig: pytest.Config) -> dict[Claim, Verdict | None]:
    """The verdicts so far."""
    return pytestconfig.stash.setdefault(COMPARED, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    found = config.stash.get(COMPARED, {})
    if found:
        terminalreporter.section("parity")
        for line in table(found):
            terminalreporter.write_line(line)
