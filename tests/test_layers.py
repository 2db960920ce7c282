"""Which folder may import what, read from the source without importing it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {
    "dsl": {"dsl", "errors"},
    "compiler": {"dsl", "compiler", "errors"},
    "stdlib": {"dsl", "compiler", "stdlib", "errors"},
}
RUNTIME_ONLY = {"transformers", "openai", "sentence_transformers", "peft", "accelerate"}
HEAVY = {"polars", "polars_hash", "numpy", "networkx", "torch", "sklearn", "scipy", "pandas", "pyarrow"}
HEAVY |= RUNTIME_ONLY | {"datasets", "fsspec"}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(node: ast.AST, path: Path) -> Iterator[str]:
    """The full names of the modules that one import statement names."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if not isinstance(node, ast.ImportFrom):
        return
    package = ("selrun", *path.relative_to(ROOT).parent.parts)
    above = package[: len(package) - node.level + 1] if node.level else ()
    target = (*above, *((node.module,) if node.module else ()))
    yield from (".".join((*target, alias.name)) for alias in node.names)


def at_import_time(node: ast.AST) -> Iterator[ast.AST]:
    """The statements that run when the module is imported."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from (n for branch in child.orelse for n in (branch, *at_import_time(branch)))
            continue
        yield child
        yield from at_import_time(child)


def names(path: Path, *, running: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in at_import_time(tree) if running else ast.walk(tree):
        yield from imported(node, path)


def place(path: Path, name: str) -> str:
    return f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_layer_imports_only_the_layers_below_it(folder: str):
    ours = [(p, n) for p in modules(folder) for n in names(p) if n.split(".")[0] == "selrun"]
    assert [place(p, n) for p, n in ours if n.split(".")[1] not in MAY_IMPORT[folder]] == []


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_model_libraries_are_imported_in_the_runtime_only(folder: str):
    found = [(p, n) for p in modules(folder) for n in names(p)]
    assert [place(p, n) for p, n in found if n.split(".")[0] in RUNTIME_ONLY] == []


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_nothing_heavy_is_imported_before_it_is_needed(folder: str):
    found = [(p, n) for p in modules(folder) for n in names(p, running=True)]
    assert [place(p, n) for p, n in found if n.split(".")[0] in HEAVY] == []


def test_absolute_imports_of_our_own_package_are_left_to_the_tests():
    found = [(p, n) for folder in (*MAY_IMPORT, "runtime") for p in modules(folder) for n in absolute(p)]
    assert [place(p, n) for p, n in found if n.split(".")[0] == "selrun"] == []


def absolute(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""
