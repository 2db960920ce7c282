"""What a method of the library costs: the passes and trainings that a call of it is planned with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from ..compiler.check import builtin_facts, check
from ..compiler.lower import lower
from ..compiler.op import Train
from ..compiler.plan import Fit, Plan, Sweep
from ..compiler.wants import Perturbed
from .reference import Method, Parameter

STAND_INS = {
    "data": '(from "target.jsonl")',
    "column": "response",
    "share": "5%",
    "count": "10",
    "number": "1",
    "text": '"text"',
    "bool": "true",
    "list": "[]",
}


def cost(method: Method) -> str:
    """The passes over the rows, and the models trained."""
    plan = planned(method)
    return ", ".join(parts(plan)) or "none"


def planned(method: Method) -> Plan:
    """The plan of a call with stand-ins for what must be given. Raises ValueError where it does not check."""
    given = ", ".join(f"{p.name} = {stand_in(p)}" for p in method.parameters if p.default is None)
    facts = builtin_facts()
    models = {p.name: p.name for p in method.parameters if p.type == "model"}
    named = replace(facts, aliases={**models, **facts.aliases})
    found = check([("recipe.sel", f"{method.name}({given})")], named)
    if found.errors:
        raise ValueError(f"{method.name}: {[(d.code, d.headline) for d in found.errors]}")
    return lower(found.graph)


def stand_in(parameter: Parameter) -> str:
    """A value of the parameter's type; a model is called as the parameter is."""
    return parameter.name if parameter.type == "model" else STAND_INS[parameter.type]


def parts(plan: Plan) -> Iterator[str]:
    trainings = sum(isinstance(task, Fit) for task in plan.tasks)
    if trainings:
        yield f"{trainings} training{'s' * (trainings > 1)}"
    passes = Counter[str]()
    for sweep in plan.sweeps:
        passes[asked(plan, sweep, trainings)] += readings(sweep) if sweep.forwards else 0
    yield from (
        f"{number} pass{'es' * (number > 1)} of {model}" for model, number in passes.items() if number
    )


def readings(sweep: Sweep) -> int:
    """How often the model reads a row: perturbed copies with and without their prompt, or once."""
    copies = max((ask.want.copies for ask in sweep.asks if isinstance(ask.want, Perturbed)), default=0)
    return 2 * copies + any(not isinstance(ask.want, Perturbed) for ask in sweep.asks)


def asked(plan: Plan, sweep: Sweep, trainings: int) -> str:
    """The model by its name, or as one that the method trains, and whether it reads anchors after each row."""
    node = plan.graph[sweep.model]
    name = f"the trained model{'s' * (trainings > 1)}" if isinstance(node.op, Train) else f"`{node.title}`"
    return f"{name} with all anchors after each row" if sweep.beside else name
