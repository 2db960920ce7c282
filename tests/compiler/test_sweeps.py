"""Sweeps: as few passes as possible, and a reason wherever one more is needed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from selrun.compiler.check import builtin_facts, check
from selrun.compiler.lower import lower
from selrun.compiler.plan import Plan, Sweep
from selrun.compiler.wants import Entropies, Hidden, Logprobs


def plan_of(*texts: str, rules: bool = True) -> Plan:
    found = check([(f"recipe_{n}.sel", text) for n, text in enumerate(texts)], builtin_facts())
    assert not found.errors, [(d.code, d.headline) for d in found.errors]
    return lower(found.graph, rules=rules)


def sweeps(*texts: str, rules: bool = True) -> list[Sweep]:
    return [sweep for sweep in plan_of(*texts, rules=rules).sweeps if sweep.forwards]


def shown(*texts: str) -> list[tuple[str, ...]]:
    return [sweep.view.parts for sweep in sweeps(*texts)]


def reasons(text: str) -> set[str]:
    return {e.text for e in plan_of(text).trace.entries if e.rule == "fold prefixes" and not e.did}


FIVE = "score ifd using nano | score perplexity | score entropy | score loss | diversify kmeans(4) | top 5% by ifd"
COUNTS = {
    "score ifd using nano | top 5%": 2,
    "score perplexity using nano | top 5%": 1,
    "score ifd, perplexity, entropy using nano | top 5% by ifd": 2,
    FIVE: 2,
    "score ifd, perplexity, entropy, normloss, upd, hes using nano | embed using nano as place": 2,
    "score loss, margin, least_confidence using nano | score sifd using nano": 2,
    "score margin(whole) using nano | score least_confidence(prompt) using nano": 1,
    "score rho using nano against gpt2": 2,
    "score ask_llm using nano | score reverse_ifd using nano": 3,
    "score ifd using nano | score miwv using nano with encoder = nano": 3,
    "score ifd using nano | score ifd using nano as again": 2,
    "score ifd using nano | score ifd(superfiltering) using nano as quick": 4,
    "score ifd using nano | score perplexity using nano with template = vicuna": 3,
    "score ifd using nano | score perplexity using nano with max_tokens = 64": 3,
    "score ifd using nano | score perplexity using gpt2": 3,
    "score perplexity(prompt) using nano | score perplexity(response) using nano as answer": 1,
    "score perplexity(whole) using nano | score perplexity(response) using nano as answer": 1,
    "score perplexity(prompt) using nano | diversify kmeans(4) | sample 8": 1,
    "score ifd using warmup(nano, 5%) | diversify kmeans(4) | top 5%": 2,
    "score ifd using warmup(nano, 5%) | score ifd using nano as before": 4,
    "score ifd using warmup(nano, 5%, pick = cherry) | top 5%": 3,
    "score ifd using nano with faithful = true | top 5%": 2,
    "score length | top 5%": 0,
    "score length(tokens) using nano | top 5%": 0,
}


@pytest.mark.parametrize(("text", "count"), COUNTS.items(), ids=COUNTS)
def test_so_many_sweeps(text: str, count: int):
    assert len(sweeps(text)) == count


def test_the_prompt_is_read_from_the_longer_pass():
    both, alone = sweeps(FIVE)
    assert (both.view.parts, alone.view.parts) == (("prompt", "response"), ("response",))
    assert {ask.want for ask in both.asks} == {
        Logprobs("response"),
        Entropies("response"),
        Hidden(-1, "mean", "prompt"),
    }
    folded = next(ask for ask in both.asks if isinstance(ask.want, Hidden))
    assert folded.view.parts == ("prompt",)


def test_without_rules_every_request_is_a_sweep():
    assert len(sweeps(FIVE, rules=False)) == 6
    plan = plan_of(FIVE, rules=False)
    assert not plan.trace.entries


FOLD_REFUSED = {
    "another template": (
        "score ifd using nano with template = vicuna | diversify kmeans(4) | sample 8",
        "the longer pass writes its rows another way, so its first tokens differ",
    ),
    "another window": (
        "score ifd using nano with max_tokens = 64 | diversify kmeans(4) | sample 8",
        "the longer pass writes its rows another way, so its first tokens differ",
    ),
    "joint seam": (
        "score ifd using nano with faithful = true | diversify kmeans(4) | sample 8",
        "the longer pass writes its rows another way, so its first tokens differ",
    ),
    "other rows": (
        'let seen = from "b.jsonl" | score perplexity using nano\n'
        'from "a.jsonl" | without seen | diversify kmeans(4) using nano | sample 8\nfrom seen',
        "the longer pass sees other rows",
    ),
}


@pytest.mark.parametrize(("text", "reason"), FOLD_REFUSED.values(), ids=FOLD_REFUSED)
def test_a_prompt_is_not_folded_where_that_is_not_exact(text: str, reason: str):
    assert reason in reasons(text)
    assert ("prompt",) in shown(text)


def test_a_pass_on_all_rows_serves_a_later_step_on_fewer():
    text = "score ifd using nano | top 20% by ifd | score entropy using nano | top 5 by entropy"
    assert len(sweeps(text)) == 2


def test_a_pass_is_widened_for_a_later_branch():
    text = """
        let some = filter len(response) > 9 | score perplexity using nano | top 5%
        let all = score entropy using nano | top 5%
        (from some) + (from all)
    """
    (only,) = sweeps(text)
    assert plan_of(text).graph[only.rows].title == "input"


def test_rows_of_two_files_are_swept_apart():
    text = '(from "a.jsonl" | score perplexity using nano) + (from "b.jsonl") | score entropy using nano'
    plan = plan_of(text)
    assert {plan.graph[sweep.rows].title for sweep in plan.sweeps} == {'from "a.jsonl"', "+"}


def test_two_recipes_share_their_passes():
    one, other = "score ifd using nano | top 5%", "score ifd using nano | score perplexity | top 9% by ifd"
    assert len(sweeps(one, other)) == len(sweeps(other)) == 2
    plan = plan_of(one, other)
    both = {names for key, names in plan.shared.items() if plan.graph[key].title == "score ifd using nano"}
    assert both == {("recipe_0.sel", "recipe_1.sel")}


def test_two_recipes_share_a_trained_model():
    texts = [f"score ifd using warmup(nano, 5%) | top {n}" for n in (3, 4)]
    assert sum(type(task).__name__ == "Fit" for task in plan_of(*texts).tasks) == 1


RESIDENT = {
    "by turns": "score ifd using nano | score ifd using gpt2 as other | score entropy using nano | "
    "score entropy using gpt2 as doubt | top 5 by entropy",
    "branches": "(score ifd using nano | top 5%) & (score ifd using gpt2 as x | top 5% by x) | "
    "score perplexity using nano | score perplexity using gpt2 as p",
    "two templates": "score ifd using nano | score ifd using gpt2 as b | "
    "score perplexity using nano with template = vicuna | score loss using gpt2 with template = vicuna",
}


@pytest.mark.parametrize("text", RESIDENT.values(), ids=RESIDENT)
def test_each_model_is_loaded_once(text: str):
    models = [sweep.model for sweep in sweeps(text)]
    changes = sum(one != other for one, other in pairwise(models))
    assert changes == len(set(models)) - 1


def test_tasks_come_after_what_they_need():
    plan = plan_of(
        'score ifd using warmup(nano, 5%, pick = cherry) | diversify kmeans(4) | top 5% | save "x.jsonl"'
    )
    done: set[str] = set()
    given = {key for key, node in plan.graph.nodes.items() if node.schema is None}
    fitted = {task.node for task in plan.tasks if type(task).__name__ == "Fit"}
    for task in plan.tasks:
        assert all(need in done or need in given - fitted for need in task.needs)
        done.add(task.id if isinstance(task, Sweep) else task.node)


def test_a_sweep_is_named_by_what_it_does():
    assert [s.id for s in sweeps(FIVE)] == [s.id for s in sweeps(f"# the same\n{FIVE}")]
