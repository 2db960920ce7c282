"""What a recipe will do, as a text that a person likes to read, as JSON, or as a picture's DOT source."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from .cost import Estimate, Rows, rows_after, total
from .graph import Graph, Node
from .plan import Ask, Fit, Plan, Scan, Sweep, Task
from .wants import (
    Continued,
    Embedding,
    Entropies,
    Hidden,
    Likeness,
    Logits,
    Logprobs,
    NextToken,
    Perturbed,
    Rank,
    RelativeEntropies,
    Tokens,
    TopTwo,
    View,
    Want,
)

Stage = Literal["recipe", "graph", "rules", "plan"]
Estimates = Mapping[str, Estimate]
"""What each task takes, by the id of a sweep or the node of another task; empty where nothing was surveyed."""

LEFT = 46
POOLS = {"mean": "mean", "last": "last state", "first": "first state", "position": "position-weighted mean"}


def task_key(task: Task) -> str:
    return task.id if isinstance(task, Sweep) else task.node


# Graph and rules


def graph_text(graph: Graph) -> str:
    """Every node once, with what it reads from and the columns it adds."""
    numbers = {key: number for number, key in enumerate(graph.nodes, start=1)}
    lines = []
    for key, node in graph.nodes.items():
        reads = [str(numbers[need]) for need in node.needs if need in numbers]
        source = f"  reads {', '.join(reads)}" if reads else ""
        lines.append(f"{numbers[key]:>3}  {node.title:<{LEFT}}{source}{_ends(graph, key)}".rstrip())
    return "\n".join(lines)


def _ends(graph: Graph, key: str) -> str:
    recipes = [output.recipe for output in graph.outputs if output.key == key]
    return f"  → result of {', '.join(recipes)}" if recipes else ""


def rules_text(plan: Plan, *, why: bool) -> str:
    """What the rules did, and with `why` what they left and for which reason."""
    lines = [f"  {e.rule}: `{e.step}` {e.text}" for e in plan.trace.entries if e.did]
    left = [f"  {e.rule}: not `{e.step}`: {e.text}" for e in plan.trace.entries if not e.did]
    done = ["done:", *lines] if lines else ["done: nothing"]
    return "\n".join([*done, *(["left alone:", *left] if why and left else [])])


# Plan


def plan_text(plan: Plan, estimates: Estimates, *, why: bool = False, notes: tuple[str, ...] = ()) -> str:
    """The tasks in order, what is shared, and what all of it takes."""
    lines = [*_recipes(plan), *_task_lines(plan, estimates), "", *_totals(plan, estimates)]
    shared = [e for e in plan.trace.entries if e.did]
    if shared:
        lines += ["", rules_text(plan, why=why)]
    elif why:
        lines += ["", rules_text(plan, why=True)]
    lines += [f"note: {note}" for note in notes]
    return "\n".join(lines)


def _recipes(plan: Plan) -> list[str]:
    names = list(dict.fromkeys(output.recipe for output in plan.graph.outputs))
    return [f"{', '.join(names)}", ""]


def _task_lines(plan: Plan, estimates: Estimates) -> Iterator[str]:
    rows: dict[str, Rows] = {}
    for number, task in enumerate(plan.tasks, start=1):
        estimate = estimates.get(task_key(task), Estimate())
        if not isinstance(task, Sweep | Fit):
            rows[task.node] = estimate.rows or _guess(plan, task, rows)
        yield from _lines(plan, task, number, estimate, rows)


def _guess(plan: Plan, task: Task, rows: Mapping[str, Rows]) -> Rows:
    node = plan.graph[task.node]
    before = rows.get(node.inputs[0]) if node.inputs else None
    return rows_after(node, before) if before else Rows(-1)


def _lines(
    plan: Plan, task: Task, number: int, estimate: Estimate, rows: Mapping[str, Rows]
) -> Iterator[str]:
    match task:
        case Sweep():
            yield _line(number, _sweep_title(plan, task), _sweep_facts(estimate))
            yield from _readers(plan, task)
        case Fit():
            yield _line(number, f"train {plan.graph[task.node].title}", _fit_facts(estimate))
        case _:
            known = rows.get(task.node)
            facts = str(known) if known and known.count >= 0 else ""
            yield _line(number, _verb(plan, task), facts, estimate.note, _serves(plan, task.node))


def _line(number: int, title: str, *facts: str) -> str:
    text = ", ".join(fact for fact in facts if fact)
    return f"{number:>3}  {title:<{LEFT}} {text}".rstrip()


def _verb(plan: Plan, task: Task) -> str:
    title = plan.graph[task.node].title
    return f"read {title}" if isinstance(task, Scan) else title


def _serves(plan: Plan, key: str) -> str:
    recipes = plan.shared.get(key, ())
    return f"shared by {', '.join(recipes)}" if len(recipes) > 1 else ""


def _sweep_title(plan: Plan, sweep: Sweep) -> str:
    what = "count tokens of" if not sweep.forwards else "sweep"
    return f"{what} {shown_text(sweep.view)} with {plan.graph[sweep.model].title}"


def shown_text(view: View, joint: str = " + ") -> str:
    """What a model reads of a row, in words."""
    if view.seam == "closed":
        return "conversation in the chat template"
    if view.text is not None or (view.seam == "own" and len(view.parts) == 1):
        return "image and text" if view.images is not None else "text"
    return joint.join(view.parts) + (" as a pair" if view.seam == "own" else "")


def _sweep_facts(estimate: Estimate) -> str:
    if estimate.todo is None or estimate.rows is None:
        return estimate.note
    if estimate.todo == 0 and estimate.rows.exact:
        return f"{estimate.rows}, all in the store"
    stored = estimate.rows.count - estimate.todo
    facts = [f"{estimate.todo:,} rows to run" if estimate.rows.exact else str(estimate.rows)]
    facts += [f"{stored:,} in the store"] if stored else []
    facts += [f"{_tokens(estimate.tokens)}"] if estimate.tokens is not None else []
    facts += [_time(estimate.seconds)] if estimate.seconds is not None else []
    return ", ".join([*facts, *([estimate.note] if estimate.note else [])])


def _fit_facts(estimate: Estimate) -> str:
    if estimate.rows is None:
        return estimate.note
    state = "in the store" if estimate.todo == 0 else "to train"
    facts = (_tokens(estimate.tokens), _time(estimate.seconds)) if estimate.todo else ()
    return ", ".join(f for f in (str(estimate.rows), state, *facts, estimate.note) if f)


def _readers(plan: Plan, sweep: Sweep) -> Iterator[str]:
    """Who reads what of a sweep; a step that several recipes share is named once."""
    for key in sweep.for_nodes:
        node = plan.graph[key]
        own = {(r.view, r.want) for r in node.op.requests().values()}
        asks = [ask for ask in sweep.asks if (ask.view, ask.want) in own]
        yield f"       · {node.title}: {', '.join(dict.fromkeys(_ask(sweep, ask) for ask in asks))}"


def _ask(sweep: Sweep, ask: Ask) -> str:
    where = "" if ask.view == sweep.view else ", read from the first part of this pass"
    return want_text(ask.want) + where


def want_text(want: Want) -> str:
    """A want in words."""
    match want:
        case Logprobs(span=span):
            return f"log-probabilities of the {_span(span)}"
        case Continued(anchors=anchors):
            return f"log-probabilities of the responses of `{anchors.label}` after each row"
        case Perturbed(copies=copies):
            return f"what the prompt changes, in {copies} perturbed copies"
        case Entropies(span=span):
            return f"entropies over the {_span(span)}"
        case RelativeEntropies(span=span):
            return f"entropies over the {_span(span)} as parts of ln(vocabulary)"
        case TopTwo(span=span):
            return f"the two likeliest tokens over the {_span(span)}"
        case Hidden(layer=layer, pool=pool, span=span):
            return f"{POOLS[pool]} of layer {layer} over the {_span(span)}"
        case NextToken(candidates=candidates):
            return f"next-token probabilities of {', '.join(candidates)}"
        case Tokens(span=span):
            return f"tokens of the {_span(span)}"
        case Embedding():
            return "the encoder's vector"
        case Logits(label=label):
            return "the head's numbers" if label is None else f"the head's numbers, that of `{label}` first"
        case Rank():
            return "the ranker's number"
        case Likeness():
            return "the likeness of image and text"
        case _:
            return type(want).__name__.lower()


def _span(span: str) -> str:
    return "whole text" if span == "whole" else span


def _totals(plan: Plan, estimates: Estimates) -> list[str]:
    sweeps = [sweep for sweep in plan.sweeps if sweep.forwards]
    readers = {key for sweep in sweeps for key in sweep.for_nodes}
    requests = sum(len(plan.graph[key].op.requests()) for key in readers)
    fits = [task for task in plan.tasks if isinstance(task, Fit)]
    head = (
        f"in all: {_count(len(sweeps), 'sweep')} for {_count(requests, 'request')}"
        if sweeps
        else "in all: no sweep"
    )
    head += f", {_count(len(fits), 'model')} to train or take from the store" if fits else ""
    known = [e for key, e in estimates.items() if e.todo is not None]
    if not known:
        return [head]
    sum_ = total(known)
    facts = [f"{sum_.todo:,} rows to run"]
    facts += [_tokens(sum_.tokens)] if sum_.tokens is not None else []
    facts += (
        [_time(sum_.seconds)]
        if sum_.seconds is not None
        else ["time not known before a first run"]
        if sum_.todo
        else []
    )
    return [head, f"to do: {', '.join(facts)}, ${sum_.dollars:.2f}"]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _tokens(number: int | None) -> str:
    if number is None:
        return ""
    if number >= 1_000_000:
        return f"about {number / 1e6:.1f} M tokens"
    return f"about {number / 1e3:.1f} k tokens" if number >= 1000 else f"{number} tokens"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 90:
        return f"about {max(seconds, 1):.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


# Other forms


def plan_json(plan: Plan, estimates: Estimates) -> str:
    """The plan as JSON: tasks with titles, needs and estimates, and the trace."""
    tasks = [_task_json(plan, task, estimates.get(task_key(task))) for task in plan.tasks]
    trace = [{"rule": e.rule, "step": e.step, "text": e.text, "did": e.did} for e in plan.trace.entries]
    outputs = [{"recipe": o.recipe, "node": o.key, "last": o.last} for o in plan.graph.outputs]
    return json.dumps({"tasks": tasks, "trace": trace, "outputs": outputs}, indent=2, ensure_ascii=False)


def _task_json(plan: Plan, task: Task, estimate: Estimate | None) -> dict[str, Any]:
    title = _sweep_title(plan, task) if isinstance(task, Sweep) else plan.graph[task.node].title
    found: dict[str, Any] = {"task": type(task).__name__.lower(), "id": task_key(task), "title": title}
    found |= {"needs": list(task.needs), "recipes": list(plan.shared.get(task.node, ()))}
    if isinstance(task, Sweep):
        found |= {
            "asks": [want_text(a.want) for a in task.asks],
            "for": [plan.graph[k].title for k in task.for_nodes],
        }
    if estimate:
        rows = estimate.rows
        found |= {
            "rows": rows.count if rows else None,
            "rows_exact": rows.exact if rows else None,
            "todo": estimate.todo,
            "tokens": estimate.tokens,
            "seconds": estimate.seconds,
            "dollars": estimate.dollars,
            "note": estimate.note,
        }
    return found


def graph_dot(graph: Graph) -> str:
    """The graph for Graphviz."""
    lines = ["digraph recipe {", "  rankdir=LR; node [shape=box, fontname=sans];"]
    lines += [f"  {_quoted(key)} [label={_quoted(_label(node))}];" for key, node in graph.nodes.items()]
    lines += [
        f"  {_quoted(need)} -> {_quoted(key)};"
        for key, node in graph.nodes.items()
        for need in node.needs
        if need in graph.nodes
    ]
    return "\n".join([*lines, "}"])


def _label(node: Node) -> str:
    return node.title if len(node.title) < 60 else node.title[:59] + "…"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
