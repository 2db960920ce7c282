"""Prints the table of claims after the tests that compared them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from parity.table import LINE, table


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    found = sorted(lines(terminalreporter))
    if found:
        terminalreporter.section("parity")
        for line in table(found):
            terminalreporter.write_line(line)


def lines(terminalreporter: pytest.TerminalReporter) -> Iterator[tuple[str, ...]]:
    """What the tests recorded of their claims, in whichever process they ran."""
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.getreports(outcome):
            yield from (tuple(value) for name, value in report.user_properties if name == LINE)
