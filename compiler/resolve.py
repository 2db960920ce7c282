"""Turns parsed recipes into one graph of checked operations, and reports every problem it meets on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..dsl import tree
from ..dsl.diagnostic import Diagnostic
from ..dsl.words import VERBS
from . import core
from .catalogue import Catalogue, catalogue
from .convert import Place, convert, kind_in_words
from .facts import CardOf, Facts, TextOf, Unavailable
from .graph import Graph, Node, Output
from .op import Op, Train
from .problems import Problem, choices, problem, suggestion
from .schema import Schema
from .scope import Bound, Defined, Flow, Scope
from .steps import Steps
from .values import Count, Data, Model, Share
from .written_out import written_out

PARAMETER_TYPES: Mapping[str, object] = {
    "share": Share | Count,
    "count": Count,
    "number": float,
    "text": str,
    "bool": bool,
}
"""What a parameter may be declared as; `model`, `data`, `column` and `list` are bound as they are written."""

BOUND_AS_WRITTEN = ("model", "data", "column", "list")
MOST_STEPS = 10_000
"""How many steps a recipe may have once `repeat` and methods are unrolled."""
FOLLOW_FROM_OTHERS = ("E311", "E404")
"""Problems that may only be there because an earlier step of the chain has one: a score or a model is missing."""


@dataclass(frozen=True)
class Source:
    """A recipe to resolve: its name and tree, and the values given for its parameters."""

    name: str
    recipe: tree.Recipe
    given: Mapping[str, tree.Expr]


@dataclass(frozen=True)
class Resolved:
    """The graph of everything that could be resolved, and all problems."""

    graph: Graph
    diagnostics: tuple[Diagnostic, ...]
    parameters: Mapping[str, str]
    """The value of every parameter of the recipes, as text; what the manifest keeps."""


def resolve(
    sources: Sequence[Source], facts: Facts, *, seed: int = 0, known: Catalogue | None = None
) -> Resolved:
    """One graph of all recipes, which share every node that is equal.

    Questions that the facts do not answer yet are left in `facts.open`; resolve again with the answers.
    """
    resolver = Resolver(facts, seed, known or catalogue())
    for source in sources:
        resolver.recipe(source)
    graph = Graph(resolver.nodes, tuple(resolver.outputs)).needed()
    unique = {(d.code, d.labels[0].span.start, d.headline): d for d in resolver.diagnostics}
    return Resolved(graph, tuple(unique.values()), resolver.parameters)


class TooLarge(Exception):
    """The recipe unrolls to more than can be planned; nothing after it is looked at."""

    def __init__(self, diagnostic: Diagnostic):
        super().__init__(diagnostic.headline)
        self.diagnostic = diagnostic


class Resolver:
    """Walks the statements of recipes and grows the graph."""

    def __init__(self, facts: Facts, seed: int, known: Catalogue):
        self.facts, self.seed, self.catalogue = facts, seed, known
        self.nodes: dict[str, Node] = {}
        self.outputs: list[Output] = []
        self.diagnostics: list[Diagnostic] = []
        self.parameters: dict[str, str] = {}
        self.calls: list[str] = []
        self.bodies = 0
        """How deep in the bodies of methods that are checked without being called."""
        self.resolved_steps = 0
        self.named: dict[int, tuple[Bound, Flow]] = {}
        self.following: list[str] = []
        self.steps = Steps(self)
        self.library = Scope()
        self._library_texts()

    # Statements

    def recipe(self, source: Source) -> None:
        """Resolves one recipe; its last chain is its result."""
        scope = Scope(self.library)
        start = len(self.outputs)
        self.given_parameters(source, scope)
        try:
            for statement in source.recipe.statements:
                self.guarded(self.statement, statement, scope, source)
        except TooLarge as found:
            self.diagnostics.append(found.diagnostic)
        mine = self.outputs[start:]
        self.outputs[start:] = [replace(o, index=i, last=o is mine[-1]) for i, o in enumerate(mine)]

    def guarded(self, resolve_part: Callable[..., object], part: Any, *arguments: Any) -> None:
        """Resolves a part; a problem is recorded and ends this part alone."""
        try:
            resolve_part(part, *arguments)
        except Problem as found:
            self.diagnostics.append(found.diagnostic)
        except RecursionError:
            self.diagnostics.append(_too_deep(part.span).diagnostic)

    def statement(self, statement: tree.Statement, scope: Scope, source: Source) -> None:
        match statement:
            case tree.Use():
                self.use(statement, scope, source)
            case tree.Param():
                self.parameter(statement, scope, source)
            case tree.Let():
                self.let(statement, scope)
            case tree.Method():
                self.method(statement, scope)
            case tree.Repeat():
                self.repeat(statement, scope, source)
            case tree.Chain():
                self.result(statement, scope, source)
            case tree.Edition():
                pass

    def result(self, chain: tree.Chain, scope: Scope, source: Source) -> None:
        flow = self.chain(chain, scope, Flow(None, Schema()))
        if flow.key is not None:
            self.outputs.append(Output(flow.key, source.name, len(self.outputs)))

    def let(self, let: tree.Let, scope: Scope) -> None:
        """Binds a name; its value is resolved where it is used, so it is also checked here once."""
        text = let.name.text
        if text in scope.values and scope.parent is not None and scope.values[text].type != "repeat":
            first = scope.values[text].span
            raise problem(
                "E210",
                f"`{text}` is bound twice",
                let.name.span,
                "bound again",
                also=[(first, "bound here first")] if first else (),
                help="use another name; only a `let` inside `repeat` may rebind",
            )
        earlier = Scope(scope.parent, dict(scope.values), dict(scope.methods), dict(scope.modules))
        scope.values[text] = Bound(let.value, earlier, None, None, let.name.span)
        if isinstance(let.value, tree.Chain):
            self.guarded(self.dataset, let.name, scope, Flow(None, Schema()))

    def method(self, method: tree.Method, scope: Scope) -> None:
        name = method.name.text
        if name in scope.methods:
            first = scope.methods[name].method.name.span
            raise problem(
                "E210",
                f"the method `{name}` is defined twice",
                method.name.span,
                "defined again",
                also=[(first, "defined here first")],
                help="give one of them another name",
            )
        if name in VERBS:
            raise problem(
                "E211",
                f"`{name}` is a verb of the language",
                method.name.span,
                "cannot name a method",
                help=f"use another name, such as `my_{name}`",
            )
        for parameter in method.params:
            self.known_type(parameter)
        scope.methods[name] = Defined(method, scope)
        self.guarded(self.method_body, method, scope)

    def method_body(self, method: tree.Method, scope: Scope) -> None:
        """Checks a method that nobody may call: every parameter stands for a value of its type."""
        inside = Scope(scope)
        for parameter in method.params:
            inside.values[parameter.name.text] = Bound(
                parameter.default or _stand_in(parameter),
                scope,
                None,
                parameter.type.text,
                parameter.name.span,
            )
        if any(p.default is None and p.type.text == "list" for p in method.params):
            return
        nodes, named = dict(self.nodes), dict(self.named)
        self.calls.append(method.name.text)
        self.bodies += 1
        try:
            flow = self.input(Flow(None, Schema()))
            # Whoever calls it may pipe in columns that the recipe's input lacks.
            self.chain(method.body, inside, replace(flow, schema=replace(flow.schema, open=True)))
        finally:
            self.bodies -= 1
            self.calls.pop()
            # A call by the defaults makes equal nodes, and its models are known by then.
            self.nodes, self.named = nodes, named

    def repeat(self, repeat: tree.Repeat, scope: Scope, source: Source) -> None:
        """The body, so many times; a `let` in it may rebind a name of the enclosing block."""
        for _ in range(self.times(repeat, scope)):
            for statement in repeat.body:
                self.count(statement)
                if isinstance(statement, tree.Let) and statement.name.text in scope.values:
                    rebound = scope.values[statement.name.text]
                    scope.values[statement.name.text] = replace(rebound, type="repeat")
                self.statement(statement, scope, source)

    def times(self, repeat: tree.Repeat | tree.RepeatStep, scope: Scope) -> int:
        """How often a body is to be unrolled."""
        times = convert(repeat.times, Count, self.place(scope, Flow(None, Schema()), "`repeat`")).rows
        if times > 1000:
            raise problem(
                "E302", f"`repeat` cannot unroll {times} times", repeat.span, "too many", help="at most 1000"
            )
        return times

    # Parameters

    def given_parameters(self, source: Source, scope: Scope) -> None:
        declared = {s.name.text for s in source.recipe.statements if isinstance(s, tree.Param)}
        for name, value in source.given.items():
            if name not in declared:
                help = suggestion(name, declared, "a parameter") or ("the recipe has no `param`",)
                self.diagnostics.append(
                    problem(
                        "E212", f"no parameter is called `{name}`", value.span, "unknown parameter", help=help
                    ).diagnostic
                )

    def parameter(self, parameter: tree.Param, scope: Scope, source: Source) -> None:
        name = parameter.name.text
        self.known_type(parameter)
        value = source.given.get(name, parameter.default)
        if value is None:
            scope.values[name] = Bound(
                _stand_in(parameter), scope, None, parameter.type.text, parameter.name.span
            )
            raise problem(
                "E303",
                f"the parameter `{name}` has no value",
                parameter.name.span,
                "no default",
                help=f"give one on the command line: `-p {name}=…`",
            )
        self.bind(parameter, value, scope, Scope(self.library), None)
        self.parameters[name] = _shown(value)

    def bind(
        self, parameter: tree.Param, value: tree.Expr, scope: Scope, written_in: Scope, flow: Flow | None
    ) -> None:
        """Binds a parameter after checking its value against its type."""
        kind, name = parameter.type.text, parameter.name.text
        if kind in PARAMETER_TYPES:
            convert(
                value,
                PARAMETER_TYPES[kind],
                self.place(written_in, flow or Flow(None, Schema()), f"`{name}`"),
            )
        scope.values[name] = Bound(value, written_in, flow, kind, parameter.name.span)

    def known_type(self, parameter: tree.Param) -> None:
        if parameter.type.text not in (*PARAMETER_TYPES, *BOUND_AS_WRITTEN):
            known = sorted((*PARAMETER_TYPES, *BOUND_AS_WRITTEN))
            raise problem(
                "E213",
                f"no type is called `{parameter.type.text}`",
                parameter.type.span,
                "unknown type",
                help=suggestion(parameter.type.text, known, "a type"),
            )

    # Other recipes

    def use(self, use: tree.Use, scope: Scope, source: Source) -> None:
        """Makes the methods and names of another recipe visible under its alias, or as they are."""
        path = _beside(source.name, use.path.value)
        name = use.alias.text if use.alias else path
        scope.modules[name] = Scope(self.library, unread=True)
        if path in self.following or path == source.name:
            raise problem(
                "E208",
                f"`{use.path.value}` uses itself",
                use.path.span,
                "a cycle of `use`",
                help="move what both need into a third file",
            )
        answer = self.facts.ask(TextOf(path))
        if answer is None:
            return
        if isinstance(answer, Unavailable):
            raise problem(answer.code, answer.headline, use.path.span, "cannot be read", help=answer.help)
        assert isinstance(answer, str)
        module = self.module(path, answer)
        scope.modules[name] = module
        if use.alias is None:
            scope.values |= module.values
            scope.methods |= module.methods

    def module(self, path: str, text: str) -> Scope:
        from ..dsl.parse import parse

        parsed = parse(tree.Source(path, text))
        self.diagnostics.extend(parsed.diagnostics)
        module = Scope(self.library)
        self.following.append(path)
        try:
            inner = Source(path, parsed.recipe, {})
            for statement in parsed.recipe.statements:
                if not isinstance(statement, tree.Chain):
                    self.guarded(self.statement, statement, module, inner)
        finally:
            self.following.pop()
        return module

    def _library_texts(self) -> None:
        """The methods of the catalogue, visible everywhere; parsed when first called."""
        self.unread = dict(self.catalogue.methods)

    def find_method(self, name: str, scope: Scope) -> Defined | None:
        """A method of the recipe, of a used one, or of the library."""
        found = scope.method(name)
        if found is None and name in self.unread:
            module = self.module(f"{name}.sel", self.unread.pop(name))
            self.library.methods |= module.methods
            found = self.library.methods.get(name)
        return found

    # Chains, datasets and models

    def chain(self, chain: tree.Chain, scope: Scope, flow: Flow) -> Flow:
        """What flows out of the chain's last step; a step with a problem is reported and passed over."""
        before = len(self.diagnostics)
        for step in chain.steps:
            self.count(step)
            try:
                flow = self.steps.step(step, scope, flow)
            except Problem as found:
                follows = len(self.diagnostics) > before and found.diagnostic.code in FOLLOW_FROM_OTHERS
                self.diagnostics += () if follows else (found.diagnostic,)
                flow = replace(self.input(flow), schema=replace(flow.schema, open=True))
        return flow

    def count(self, part: tree.AnyStep | tree.Statement) -> None:
        """Ends the whole recipe where `repeat` and methods unroll to more than can be planned."""
        self.resolved_steps += 1
        if self.resolved_steps > MOST_STEPS:
            raise TooLarge(_too_many(part.span).diagnostic)

    def input(self, flow: Flow) -> Flow:
        """The flow itself, or the recipe's input where nothing was read yet."""
        if flow.key is not None:
            return flow
        return self.steps.load("", None, None, flow, None)

    def add(self, op: Op, flow: Flow, schema: Schema | None, title: str, span: tree.Span | None) -> str:
        """The key of the node, which is new or the equal one that was there."""
        inputs = (flow.key,) if flow.key else ()
        node = Node(op, inputs, schema, title, span)
        self.nodes.setdefault(node.key, node)
        return node.key

    def dataset(self, expression: tree.Expr, scope: Scope, flow: Flow) -> Data:
        """The node of a dataset: a chain in parentheses, a name, or several combined."""
        key = self.rows(expression, scope, flow).key
        assert key is not None
        return Data(key=key, label=_shown(expression))

    def rows(self, expression: tree.Expr | tree.Chain, scope: Scope, flow: Flow) -> Flow:
        """The flow that a dataset expression gives; chains without `from` read what is piped in."""
        match expression:
            case tree.Dataset():
                return self.rows(expression.chain, scope, flow)
            case tree.Chain():
                return self.input(self.chain(expression, scope, _start(expression, flow)))
            case tree.Binary(operator="+" | "-" | "&"):
                return self.steps.algebra(expression, scope, flow)
            case tree.Name():
                return self.named_rows(expression, scope, flow)
            case tree.Text():
                return self.steps.load(expression.value, None, None, flow, expression.span)
            case tree.Call(name=tree.Name(text="hub")):
                return self.steps.hub(expression, scope, flow)
            case tree.Call() if self.find_method(expression.name.text, scope):
                step = tree.CallStep(expression, (), span=expression.span)
                return self.rows(tree.Chain((step,), span=expression.span), scope, flow)
            case _:
                raise problem(
                    "E301",
                    f"a dataset is wanted, not {kind_in_words(expression)}",
                    expression.span,
                    "not a dataset",
                    help='write the name of a file, `"rows.jsonl"`, a `let` name, or a chain in parentheses',
                )

    def named_rows(self, name: tree.Name, scope: Scope, flow: Flow) -> Flow:
        bound = scope.value(name.text)
        if bound is None:
            raise problem(
                "E205",
                f"no dataset is called `{name.text}`",
                name.span,
                "unknown dataset",
                help=suggestion(name.text, scope.value_names(), "a name")
                or (f'bind one first: `let {name.text} = load "rows.jsonl"`',),
            )
        if id(bound) not in self.named:
            flow = self.rows(bound.value, bound.scope, bound.flow or Flow(None, Schema()))
            self.named[id(bound)] = bound, flow
        return self.named[id(bound)][1]

    def model(self, expression: tree.Expr, scope: Scope, flow: Flow) -> Model:
        """The node of a model: a name, `model "id"`, or a noun that makes one."""
        match expression:
            case tree.Name():
                return self.named_model(expression, scope, flow)
            case tree.Text():
                return self.pretrained(expression.value, expression.value, expression.span)
            case tree.Call(
                name=tree.Name(text="model"), arguments=[tree.Argument(value=tree.Text(value=target))]
            ):
                return self.pretrained(target, target, expression.span)
            case tree.Call():
                return self.made_model(expression, scope, flow)
            case _:
                raise problem(
                    "E301",
                    f"a model is wanted, not {kind_in_words(expression)}",
                    expression.span,
                    "not a model",
                    help='write a name, `model "org/name"`, or `warmup(name, 5%)`',
                )

    def named_model(self, name: tree.Name, scope: Scope, flow: Flow) -> Model:
        bound = scope.value(name.text)
        if bound and not isinstance(bound.value, tree.Chain):
            inside = bound.flow or Flow(None, Schema())
            return self.model(bound.value, bound.scope, inside).model_copy(update={"label": name.text})
        if bound:
            raise problem(
                "E301",
                f"`{name.text}` is a dataset, not a model",
                name.span,
                "a model belongs here",
                also=[(bound.span, f"`{name.text}` is bound here")] if bound.span else (),
            )
        target = self.facts.aliases.get(name.text)
        if target is None:
            raise self.unknown_model(name, scope)
        return self.pretrained(target, name.text, name.span)

    def unknown_model(self, name: tree.Name, scope: Scope) -> Problem:
        if name.text in self.facts.api:
            return problem(
                "E405",
                f"`{name.text}` answers over an API, and no step here asks one",
                name.span,
                "an API model",
                help="use a model whose weights can be loaded",
            )
        known = (*scope.value_names(), *self.facts.aliases)
        return problem(
            "E204",
            f"no model is called `{name.text}`",
            name.span,
            "unknown model",
            help=(
                *suggestion(name.text, known, "a model"),
                f'add `let {name.text} = model "org/name"`, or '
                f"`--model {name.text}=FOLDER` on the command line",
            ),
        )

    def pretrained(self, target: str, label: str, span: tree.Span) -> Model:
        # The body of a method that nobody called yet needs no model.
        answer = None if self.bodies else self.facts.ask(CardOf(target))
        if isinstance(answer, Unavailable):
            raise problem(answer.code, answer.headline, span, "this model", help=answer.help)
        node = Node(core.Pretrained(target=target), (), None, label, span)
        self.nodes.setdefault(node.key, node)
        return Model(
            key=node.key,
            label=label,
            kind=getattr(answer, "kind", "unknown"),
            chat=getattr(answer, "chat", False),
            separate=getattr(answer, "separate", False),
            parameters=getattr(answer, "parameters", None),
        )

    def made_model(self, call: tree.Call, scope: Scope, flow: Flow) -> Model:
        """A model that an operation makes, such as `warmup(m, 5%)`."""
        kind = self.catalogue.find("model", call.name.text)
        if kind is None:
            raise problem(
                "E202",
                f"nothing called `{call.name.text}` makes a model",
                call.name.span,
                "unknown",
                help=suggestion(call.name.text, self.catalogue.nouns("model"), "a noun"),
            )
        flow = self.input(flow) if issubclass(kind, Train) else Flow(None, Schema())
        op = self.steps.fields.build(kind, call.arguments, (), scope, flow, call.span)
        data = next((r for r in op.references() if isinstance(r, Data)), None)
        if data is not None:
            flow = replace(flow, key=data.key)
        base = next((r for r in op.references() if isinstance(r, Model)), None)
        label = _shown(written_out(call, scope))
        key = self.add(op, flow, None, label, call.span)
        if base is None:
            return Model(key=key, label=label)
        return base.model_copy(update={"key": key, "label": label})

    def place(self, scope: Scope, flow: Flow, what: str) -> Place:
        return Place(scope, flow, self, what)

    def tokens(self, column: str, flow: Flow, span: tree.Span) -> str:
        """The hidden column of token counts that `tokens(…)` reads; the step that needs it adds it."""
        if flow.model is None:
            raise problem(
                "E404",
                "`tokens` needs a model's tokenizer",
                span,
                "no model was used before in this chain",
                help="put a step with `using` before it, or count `words(response)`",
            )
        return f"@tokens.{column}"

    # Method calls

    def call(self, call: tree.Call, scope: Scope, flow: Flow) -> Flow:
        """The flow through a method's body, with its parameters bound to the arguments."""
        name = call.name.text
        found = self.find_method(name, scope)
        if found is None and scope.is_unread(name):
            return replace(flow, schema=replace(flow.schema, open=True))
        if found is None:
            raise self.unknown_method(call, scope)
        if name in self.calls:
            raise problem(
                "E207",
                f"`{name}` calls itself",
                call.name.span,
                "recursion",
                help="a recipe is finite: use `repeat` for a fixed number of rounds",
            )
        inside = Scope(found.scope)
        self.arguments(found.method, call, scope, flow, inside)
        self.calls.append(name)
        try:
            return self.chain(found.method.body, inside, _start(found.method.body, flow))
        finally:
            self.calls.pop()

    def arguments(
        self, method: tree.Method, call: tree.Call, scope: Scope, flow: Flow, inside: Scope
    ) -> None:
        declared = {p.name.text: p for p in method.params}
        given = _matched(call, list(declared), f"`{method.name.text}`")
        for name, parameter in declared.items():
            argument = given.get(name)
            if argument is not None:
                self.bind(parameter, argument, inside, scope, flow)
            elif parameter.default is not None:
                self.bind(parameter, parameter.default, inside, inside.parent or self.library, flow)
            else:
                raise problem(
                    "E303",
                    f"`{method.name.text}` needs `{name}`",
                    call.span,
                    f"`{name}` is missing",
                    help=f"add `{name} = …`",
                    also=[(parameter.name.span, "declared here")],
                )

    def unknown_method(self, call: tree.Call, scope: Scope) -> Problem:
        name = call.name.text
        help = suggestion(name, (*scope.method_names(), *self.unread), "a method")
        verbs = self.catalogue.verbs(name)
        if name in VERBS:
            help = (f"`{name}` is a verb: leave a blank before what it takes",)
        elif verbs:
            help = tuple(f"write `{verb} {_shown(call)}`" for verb in verbs[:2])
        return problem("E202", f"no method is called `{name}`", call.name.span, "unknown method", help=help)


def _matched(call: tree.Call, names: Sequence[str], what: str) -> dict[str, tree.Expr]:
    """The arguments by the name of their parameter."""
    given: dict[str, tree.Expr] = {}
    for position, argument in enumerate(call.arguments):
        name = _parameter(argument, position, names, what)
        if name in given:
            raise problem(
                "E304",
                f"{what} is given `{name}` twice",
                argument.value.span,
                "given again",
                help="leave one out",
            )
        given[name] = argument.value
    return given


def _parameter(argument: tree.Argument, position: int, names: Sequence[str], what: str) -> str:
    """The name of the parameter that an argument is for."""
    if argument.name is None and position >= len(names):
        raise problem(
            "E304",
            f"{what} takes {len(names) or 'no'} argument{'s' * (len(names) != 1)}",
            argument.value.span,
            "one too many",
            help=f"it takes {choices(names)}" if names else "leave it out",
        )
    if argument.name is None:
        return names[position]
    if argument.name.text not in names:
        raise problem(
            "E304",
            f"{what} has no parameter `{argument.name.text}`",
            argument.name.span,
            "unknown parameter",
            help=suggestion(argument.name.text, names, "a parameter"),
        )
    return argument.name.text


def _start(chain: tree.Chain, flow: Flow) -> Flow:
    """The rows that a chain begins with: none where it reads its own."""
    first = chain.steps[0]
    reads = isinstance(first, tree.Step) and first.verb.text in ("from", "load")
    return Flow(None, Schema(), flow.model) if reads else flow


def _too_deep(span: tree.Span) -> Problem:
    return problem(
        "E309",
        "names stand for each other through too many levels",
        span,
        "here",
        help="write the value itself, or load a saved file in between",
    )


def _too_many(span: tree.Span) -> Problem:
    return problem(
        "E310",
        f"the recipe unrolls to more than {MOST_STEPS:,} steps",
        span,
        "this step is one too many",
        help="repeat fewer times, or split the recipe into several",
    )


def _stand_in(parameter: tree.Param) -> tree.Expr:
    from decimal import Decimal

    span = parameter.name.span
    match parameter.type.text:
        case "share":
            return tree.Quantity(Decimal("5"), "%", "5%", span=span)
        case "text" | "data" | "model":
            return tree.Text("", False, span=span)
        case "bool":
            return tree.Bool(True, span=span)
        case "column":
            return tree.Name("prompt", False, span=span)
        case _:
            return tree.Quantity(Decimal(1), "", "1", span=span)


def _beside(name: str, path: str) -> str:
    """The path as seen from the recipe that names it."""
    from pathlib import PurePosixPath

    folder = PurePosixPath(name).parent
    return path if path.startswith("/") else str(folder / path)


def _shown(expression: tree.Expr | tree.Chain) -> str:
    from ..dsl.format import format_expression

    return format_expression(expression)
