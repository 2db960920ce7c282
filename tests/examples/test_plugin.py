"""The example of a plug-in installs, is found, and passes its own tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).resolve().parents[2] / "examples" / "plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that finds the installed plug-in."""
    source, target = tmp_path_factory.mktemp("source") / "plugin", tmp_path_factory.mktemp("site")
    shutil.copytree(PLUGIN, source)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(source)]
    subprocess.run(command, check=True)
    return {**os.environ, "PYTHONPATH": str(target), "SELRUN_STORE": str(target / "store")}


def run(installed: dict[str, str], *command: str) -> str:
    done = subprocess.run([sys.executable, "-m", *command], env=installed, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_own_tests_pass(installed: dict[str, str]):
    options = ("-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-c", os.devnull)
    assert "2 passed" in run(installed, "pytest", *options, str(PLUGIN / "tests"))


def test_its_scorer_and_its_method_are_listed(installed: dict[str, str]):
    assert "  hedges " in run(installed, "selrun", "ops")
    assert "plain_spoken(keep = 5%)" in run(installed, "selrun", "methods", "plain_spoken")
