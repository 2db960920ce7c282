"""A model that cannot answer what a step asks is refused when the recipe is checked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from selrun.compiler.check import builtin_facts, check
from selrun.compiler.facts import Card, CardOf, Facts
from selrun.compiler.kinds import IN_WORDS
from selrun.compiler.values import ModelKind

STEPS: dict[str, ModelKind] = {
    "score ifd": "causal",
    "score reward": "classifier",
    "score classifier": "classifier",
    "score iqs": "ranker",
    "score unieval(coherence)": "seq2seq",
    "score clip": "vision",
}
KINDS: tuple[ModelKind, ...] = ("causal", "encoder", "classifier", "seq2seq", "ranker", "vision")


def refusals(step: str, kind: ModelKind) -> list[tuple[str, str, tuple[str, ...]]]:
    facts = Facts({CardOf("a/b"): Card(kind)})
    found = check([("r.sel", f'load "rows.json" | {step} using "a/b"')], facts).diagnostics
    return [(one.code, one.headline, one.help) for one in found]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", STEPS)
def test_a_step_takes_one_kind_of_model(step: str, kind: ModelKind):
    needed = STEPS[step]
    refused = [("E434", f"`a/b` is {IN_WORDS[kind]}", (f"name {IN_WORDS[needed]}",))]
    assert refusals(step, kind) == ([] if kind == needed else refused)


def test_a_model_that_nothing_is_known_of_yet_is_taken():
    assert refusals("score reward", "unknown") == []


@pytest.mark.parametrize("call", ["semdedup()", "semdedup(minilm)", "semdedup(minilm, eps = 0.05)"])
def test_a_method_s_default_model_is_of_the_kind_that_it_is(call: str):
    facts = builtin_facts()
    encoder = CardOf(facts.aliases["minilm"])
    found = check([("r.sel", call)], replace(facts, answers={encoder: Card("encoder")}))
    assert [node.op.using.kind for node in found.graph.nodes.values() if node.op.verb == "dedup"] == [
        "encoder"
    ]
