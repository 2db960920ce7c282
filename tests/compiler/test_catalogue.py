"""An operation is found without importing the others."""

from __future__ import annotations

import subprocess
import sys

import pytest
from selrun.compiler.catalogue import Catalogue, catalogue, operations
from selrun.compiler.op import Score
from selrun.errors import SelrunError
from selrun.stdlib.score.ifd import Ifd

SCRIPT = """
import sys
from selrun.compiler.check import check_text
assert check_text("top 5% by len(response)") == []
scores = [name for name in sys.modules if name.startswith("selrun.stdlib.score.")]
print(scores, "selrun.stdlib.select.top" in sys.modules)
"""


@pytest.fixture
def fresh() -> Catalogue:
    return catalogue.__wrapped__()


@pytest.mark.parametrize("name", sorted(catalogue().ops), ids=" ".join)
def test_every_operation_is_found_by_its_words_alone(name: tuple[str, str], fresh: Catalogue):
    unread = len(fresh.unread)
    assert fresh.find(*name) is catalogue().ops[name]
    assert len(fresh.unread) >= unread - max(1, len(catalogue().verbs(name[1])))


def test_a_check_imports_the_operations_it_meets():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout == "[] True\n"


def test_a_plug_in_cannot_take_a_name_whose_module_is_not_imported_yet(fresh: Catalogue):
    claim = type("Claim", (Score,), {"noun": "ifd", "__module__": "extra"})
    with pytest.raises(SelrunError) as refused:
        fresh.add(claim, "extra")
    assert refused.value.code == "E402"


def test_a_plug_in_s_operation_is_found_beside_the_library_s(fresh: Catalogue):
    module = type(sys)("extra")
    module.Odd = type("Odd", (Score,), {"noun": "odd", "__module__": "extra"})  # type: ignore[attr-defined]
    for found in operations(module):
        fresh.add(found, "extra")
    assert fresh.find("score", "odd") is module.Odd  # type: ignore[attr-defined]
    assert fresh.nouns("score") == sorted([*catalogue().nouns("score"), "odd"])
    assert fresh.find("score", "ifd") is Ifd
