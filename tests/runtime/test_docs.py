"""The generated documents are what the code says."""

from __future__ import annotations

from selrun.compiler.check import check_text
from selrun.runtime.docs import FOLDER, documents
from selrun.runtime.method_cost import cost
from selrun.runtime.reference import field_docs, methods, operations
from selrun.runtime.reference_text import default_text


def test_the_documents_are_current():
    written = {str(path.relative_to(FOLDER)): path.read_text("utf-8") for path in FOLDER.rglob("*.md")}
    current = documents()
    stale = [name for name, text in current.items() if written.get(name) != text]
    gone = [name for name in written if name.startswith("ops/") and name not in current]
    assert (stale, gone) == ([], []), "run `make docs`"


KNOWN = ("cherry", "diverseevol", "nuggets", "random", "tshirt")


def test_every_method_says_what_it_costs():
    assert {method.name: cost(method) for method in methods() if method.name in KNOWN} == {
        "cherry": "1 training, 1 pass of `m`, 2 passes of the trained model",
        "diverseevol": "10 trainings, 10 passes of the trained models",
        "nuggets": "1 pass of `m`, 1 pass of `m` with all anchors after each row",
        "random": "none",
        "tshirt": "62 passes of `gpt2`",
    }


def test_every_operation_says_what_it_gives():
    assert [each.name for each in operations() if not each.title.endswith(".")] == []


def test_every_operation_of_the_library_has_an_example():
    bare = {"from", "save", "model model", "model adapter"}
    assert [each.name for each in operations() if not each.example and each.name not in bare] == []


def test_every_parameter_says_what_it_is():
    plain = ("using", "seed")
    untold = [f"{each.name} {p.name}" for each in operations() for p in each.parameters if not p.doc]
    assert [name for name in untold if not name.endswith(plain)] == []


def test_a_clause_that_may_be_left_out_is_one_that_the_chain_supplies():
    given = {
        each.name: p for each in operations() for p in each.parameters if p.place == "by" and not p.default
    }
    assert {name for name, p in given.items() if default_text(p) != "must be given"} == {"top", "bottom"}
    for name in set(given) - {"top", "bottom", "sort"}:
        verb, noun = name.split()
        codes = {d.code for d in check_text(f"score length | {verb} {noun}")}
        assert codes & {"E303", "E306"}, name


def test_texts_under_inherited_fields_are_found():
    from selrun.stdlib.score.ifd import Ifd

    assert field_docs(Ifd)["name"] == "The column it writes; the noun, or what `as` says."
    assert field_docs(Ifd)["variant"] == "Ratio of mean losses, or of perplexities."
