"""The generated documents are what the code says."""

from __future__ import annotations

from selrun.runtime.docs import FOLDER, documents
from selrun.runtime.method_cost import cost
from selrun.runtime.reference import field_docs, methods, operations


def test_the_documents_are_current():
    written = {str(path.relative_to(FOLDER)): path.read_text("utf-8") for path in FOLDER.rglob("*.md")}
    current = documents()
    stale = [name for name, text in current.items() if written.get(name) != text]
    gone = [name for name in written if name.startswith("ops/") and name not in current]
    assert (stale, gone) == ([], []), "run `make docs`"


KNOWN = ("cherry", "diverseevol", "random")


def test_every_method_says_what_it_costs():
    assert {method.name: cost(method) for method in methods() if method.name in KNOWN} == {
        "cherry": "1 training, 1 pass of `m`, 2 passes of the trained model",
        "diverseevol": "10 trainings, 10 passes of the trained models",
        "random": "none",
    }


def test_every_operation_says_what_it_gives():
    assert [each.name for each in operations() if not each.title.endswith(".")] == []


def test_every_operation_of_the_library_has_an_example():
    bare = {"from", "filter", "derive", "sort", "without", "join", "save", "model model", "model adapter"}
    assert [each.name for each in operations() if not each.example and each.name not in bare] == []


def test_texts_under_inherited_fields_are_found():
    from selrun.stdlib.score.ifd import Ifd

    assert field_docs(Ifd)["name"] == "The column it writes; the noun, or what `as` says."
    assert field_docs(Ifd)["variant"] == "Ratio of mean losses, or of perplexities."
