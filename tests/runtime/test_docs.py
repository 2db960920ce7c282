"""The generated documents are what the code says."""

from __future__ import annotations

import pytest
from selrun.runtime.docs import FOLDER, documents
from selrun.runtime.reference import field_docs, operations


@pytest.mark.parametrize("name", ["ops.md", "methods.md", "errors.md"])
def test_the_documents_are_current(name: str):
    assert (FOLDER / name).read_text("utf-8") == documents()[name], "run `make docs`"


def test_every_operation_says_what_it_gives():
    assert [each.name for each in operations() if not each.title.endswith(".")] == []


def test_every_operation_of_the_library_has_an_example():
    bare = {"from", "filter", "derive", "sort", "without", "join", "save", "model model", "model adapter"}
    assert [each.name for each in operations() if not each.example and each.name not in bare] == []


def test_texts_under_inherited_fields_are_found():
    from selrun.stdlib.score.ifd import Ifd

    assert field_docs(Ifd)["name"] == "The column it writes; the noun, or what `as` says."
    assert field_docs(Ifd)["variant"] == "Ratio of mean losses, or of perplexities."
