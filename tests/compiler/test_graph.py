"""The graph: equal work is one node, and a key depends on what is done and on nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from selrun.compiler.check import builtin_facts, check
from selrun.compiler.core import Load, Pretrained
from selrun.compiler.facts import CardOf, Columns, SchemaOf
from selrun.compiler.graph import Graph
from selrun.compiler.lower import lower
from selrun.compiler.schema import Column


def graph_of(*texts: str) -> Graph:
    found = check([(f"recipe_{n}.sel", text) for n, text in enumerate(texts)], builtin_facts())
    assert not found.errors, [(d.code, d.headline) for d in found.errors]
    return found.graph


def results(*texts: str) -> list[str]:
    return [output.key for output in graph_of(*texts).outputs]


BASE = "score ifd using nano | filter ifd < 1 | top 5% by ifd"
SAME = {
    "blanks and lines": "score   ifd using nano\n\n| filter ifd<1\n\n| top 5% by ifd",
    "comments": "# hardest\nscore ifd using nano # the ratio\n| filter ifd < 1 | top 5% by ifd",
    "edition": f"selrun 1\n{BASE}",
    "a name for the model": f'let judge = model "nano"\n{BASE.replace("nano", "judge")}',
    "the model as a text": BASE.replace("using nano", 'using "nano"'),
    "a name for the rows": "let scored = score ifd using nano\nfrom scored | filter ifd < 1 | top 5% by ifd",
    "a share as a decimal": BASE.replace("5%", "0.05"),
    "a share as a parameter": f"param keep: share = 5%\n{BASE.replace('5%', 'keep')}",
    "a method": "method hardest(m: model) = score ifd using m | filter ifd < 1 | top 5% by ifd\nhardest(nano)",
    "the only score": BASE.replace(" by ifd", ""),
    "a default written out": BASE.replace("ifd using nano", "ifd(cherry) using nano"),
    "an option written out": BASE.replace("using nano", "using nano with faithful = false"),
    "parentheses": BASE.replace("ifd < 1", "(ifd < 1)"),
    "needless statements": f'let unused = 5\nparam other: text = "x"\n{BASE}',
    "repeat once": f"repeat 1 {{ {BASE} }}",
}
OTHER = {
    "another model": BASE.replace("nano", "gpt2"),
    "another share": BASE.replace("5%", "6%"),
    "another condition": BASE.replace("< 1", "< 2"),
    "another end": BASE.replace("top", "bottom"),
    "another order": "score ifd using nano | top 5% by ifd | filter ifd < 1",
    "another variant": BASE.replace("ifd using", "ifd(superfiltering) using"),
    "another input": f'from "other.jsonl" | {BASE}',
    "another column name": "score ifd using nano as hard | filter hard < 1 | top 5% by hard",
    "a warm-up": BASE.replace("using nano", "using warmup(nano, 5%)"),
    "another option": BASE.replace("using nano", "using nano with max_tokens = 64"),
}


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_the_same_work_has_the_same_key(text: str):
    assert results(text) == results(BASE)


@pytest.mark.parametrize("text", OTHER.values(), ids=OTHER)
def test_other_work_has_another_key(text: str):
    assert results(text) != results(BASE)


@pytest.mark.parametrize(
    "pair",
    [
        (
            "warmup(nano, 5%, epochs = 2, batch = 8)",
            "warmup(amount = 5%, batch = 8, base = nano, epochs = 2)",
        ),
        ("warmup(nano, 5%)", "warmup(nano, 0.05)"),
    ],
)
def test_the_order_of_arguments_is_no_part_of_a_key(pair: tuple[str, str]):
    one, other = (f"score ifd using {model} | top 5%" for model in pair)
    assert results(one) == results(other)


def test_clauses_stand_in_any_order():
    one = "score perplexity using nano as p with max_tokens = 64"
    other = "score perplexity with max_tokens = 64 as p using nano"
    assert results(one) == results(other)


def test_the_seed_is_part_of_random_work_only():
    facts = builtin_facts()

    def key(text: str, seed: int) -> str:
        return check([("r", text)], facts, seed=seed).graph.outputs[0].key

    assert key("sample 10", 1) != key("sample 10", 2)
    assert key("sample 10 with seed = 3", 1) == key("sample 10 with seed = 3", 2)
    assert key("score ifd using nano | top 5%", 1) == key("score ifd using nano | top 5%", 2)


def test_two_recipes_share_every_equal_node():
    apart = sum(len(graph_of(text).nodes) for text in (BASE, BASE.replace("5%", "6%")))
    together = graph_of(BASE, BASE.replace("5%", "6%"))
    assert len(together.nodes) == apart - 4
    assert [output.recipe for output in together.outputs] == ["recipe_0.sel", "recipe_1.sel"]


def test_one_model_is_trained_once():
    graph = graph_of(
        "let warm = warmup(nano, 5%)\n(score ifd using warm) & (score loss using warmup(nano, 5%))"
    )
    assert sum(node.schema is None for node in graph.nodes.values()) == 2


def test_nodes_come_after_what_they_need():
    graph = lower(graph_of("score ifd using warmup(nano, 5%) | filter len(response) > 3 | top 5%")).graph
    seen: set[str] = set()
    for key, node in sorted(graph.nodes.items(), key=lambda item: len(list(graph.lineage(item[0])))):
        seen.add(key)
        assert key == node.key
    assert all(need in seen for node in graph.nodes.values() for need in node.needs)


def test_what_nobody_needs_is_not_in_a_rewritten_graph():
    graph = lower(graph_of("diversify kmeans(4) using nano | filter len(response) > 3")).graph
    assert not any(isinstance(node.op, Pretrained) for node in graph.nodes.values())
    assert sum(isinstance(node.op, Load) for node in graph.nodes.values()) == 1


def test_a_chain_of_five_hundred_steps_is_planned():
    steps = " | ".join(f"filter len(response) > {n}" for n in range(500))
    plan = lower(graph_of(f"diversify kmeans(4) using nano | {steps}"))
    assert len(plan.tasks) == 501


def test_covering_follows_every_way_that_rows_come():
    text = """
        let pool = from "a.jsonl"
        (from pool | top 5 by len(response)) + (from pool | filter len(prompt) > 3) | filter len(prompt) > 9
    """
    graph = graph_of(text)
    pool = next(key for key, node in graph.nodes.items() if isinstance(node.op, Load))
    assert graph.covers(pool, graph.outputs[0].key)
    mixed = graph_of('(from "a.jsonl") + (from "b.jsonl")')
    sources = [key for key, node in mixed.nodes.items() if isinstance(node.op, Load)]
    assert not any(mixed.covers(source, mixed.outputs[0].key) for source in sources)


def test_a_method_runs_as_it_is_called_and_not_with_its_defaults_besides():
    text = "method best(k: share = 5%) = top k by len(response)\nbest(k = 50%)"
    found = check([("recipe.sel", text)], builtin_facts())
    assert [str(node.op.keep) for node in found.graph.nodes.values() if node.op.verb == "top"] == ["50%"]


def test_a_method_s_default_model_is_not_asked_for_where_another_is_given():
    facts = builtin_facts()
    check([("recipe.sel", "superfiltering(nano, keep = 10%)")], facts)
    assert [q.target for q in facts.open if isinstance(q, CardOf)] == ["nano"]


def test_the_body_of_a_method_with_a_model_is_checked_where_it_is_defined():
    text = "method best(m: model) = score idf using m\nsample 5"
    found = check([("recipe.sel", text)], builtin_facts())
    assert [d.code for d in found.errors] == ["E202"]


def test_a_method_may_read_a_column_that_only_its_caller_adds():
    text = "method seen() = filter taken\nderive taken = len(response) > 5 | seen()"
    columns = Columns((Column("response", "text", "file"),))
    facts = replace(builtin_facts(), data="rows.jsonl", answers={SchemaOf("rows.jsonl", None, None): columns})
    assert check([("recipe.sel", text)], facts).errors == ()


DATASETS = {
    "by a name": "let chosen = longest(5)\nfrom chosen",
    "in parentheses": "let chosen = (longest(5))\nfrom chosen",
    "as a chain": "let chosen = longest(5) | filter true\nfrom chosen",
    "in an algebra": "(longest(5)) + (random(5%))",
    "after `without`": "without longest(5)",
    "as an argument": "evaluate loss using train(nano, on = longest(5)) against random(5%)",
    "of one's own": "method mine() = top 3 by len(response)\nlet chosen = mine()\nfrom chosen",
}


@pytest.mark.parametrize("text", DATASETS.values(), ids=DATASETS)
def test_a_call_of_a_method_is_a_dataset(text: str):
    found = check([("recipe.sel", text)], builtin_facts())
    assert [(d.code, d.headline) for d in found.errors] == []
