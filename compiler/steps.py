"""Turns each step of a chain into nodes: which operation it names, with which values, on which rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from ..dsl import tree
from ..dsl.words import VERBS
from . import core
from .convert import checked, convert, kind_in_words
from .expression_kinds import kind_of
from .facts import Columns, SchemaOf, Unavailable
from .fields import Clauses, Fields
from .op import Adds, Cluster, Evaluate, Op, Score, Select
from .problems import choices, problem, suggestion
from .schema import Column, Schema
from .scope import Flow, Scope
from .values import Data, Expression, Model
from .written_out import step_written_out, written_out

if TYPE_CHECKING:
    from .resolve import Resolver

ADDING = ("score", "judge", "tag", "embed", "generate", "cluster")
SELECTING = ("top", "bottom", "sample", "dedup", "diversify")
PLANNED = ("compare", "judge", "tag", "generate")
O = TypeVar("O", bound=Op)


class Steps:
    """The meaning of every verb."""

    def __init__(self, resolver: Resolver):
        self.resolver = resolver
        self.fields = Fields(resolver)
        self.verbs: Mapping[str, Callable[[tree.Step, Scope, Flow], Flow]] = {
            "from": self.read,
            "load": self.read,
            "filter": self.filter,
            "derive": self.derive,
            "sort": self.sort,
            "without": self.semijoin,
            "join": self.semijoin,
            "save": self.save,
            **dict.fromkeys(ADDING, self.adding),
            **dict.fromkeys(SELECTING, self.selecting),
            "evaluate": self.evaluating,
            "compare": self.noun_missing,
        }

    def step(self, step: tree.AnyStep, scope: Scope, flow: Flow) -> Flow:
        """The flow after the step."""
        match step:
            case tree.CallStep():
                if step.clauses:
                    raise problem(
                        "E306",
                        "a method call takes no clauses",
                        step.clauses[0].span,
                        "a clause",
                        help="give it as an argument in the parentheses",
                    )
                return self.resolver.call(step.call, scope, self.resolver.input(flow))
            case tree.RepeatStep():
                for _ in range(self.resolver.times(step, scope)):
                    flow = self.resolver.chain(step.body, scope, flow)
                return flow
            case tree.AlgebraStep():
                return self.resolver.rows(step.value, scope, self.resolver.input(flow))
            case tree.Step():
                verb = self.verbs.get(step.verb.text)
                if verb is None:
                    raise self.unknown_verb(step, scope)
                return verb(step, scope, flow)

    def unknown_verb(self, step: tree.Step, scope: Scope) -> Exception:
        name = step.verb.text
        verbs = self.resolver.catalogue.verbs(name)
        if self.resolver.find_method(name, scope):
            help: tuple[str, ...] = (f"`{name}` is a method: write `{name}(…)`",)
        elif verbs:
            help = (f"write `{verbs[0]} {name}`",)
        else:
            help = suggestion(name, VERBS, "a verb")
        return problem("E201", f"no verb is called `{name}`", step.verb.span, "unknown verb", help=help)

    # Reading and writing

    def read(self, step: tree.Step, scope: Scope, flow: Flow) -> Flow:
        """`from` and `load`: a file, a name, or a dataset."""
        source = self.only_thing(step, "a dataset")
        if flow.key is not None:
            raise problem(
                "E308",
                f"`{step.verb.text}` begins a chain",
                step.verb.span,
                "rows are piped in already",
                help='to combine datasets write `| (…) + (load "rows.jsonl")`',
            )
        self.allowed(step, ("as", "with"))
        shape = self.format_name(step)
        if isinstance(source, tree.Text):
            return self.load(source.value, shape, None, flow, source.span)
        return self.resolver.rows(source, scope, flow)

    def load(
        self, source: str, shape: str | None, split: str | None, flow: Flow, span: tree.Span | None
    ) -> Flow:
        """The rows of a source; its columns are asked of the world."""
        real = source or self.resolver.facts.data
        answer = self.resolver.facts.ask(SchemaOf(real, shape, split)) if real else None
        if isinstance(answer, Unavailable) and span is not None:
            raise problem(answer.code, answer.headline, span, "this dataset", help=answer.help)
        schema = Schema()
        if isinstance(answer, Columns):
            schema = replace(
                schema.plus(*(c for c in answer.columns if schema.get(c.name) is None)), open=False
            )
        op = core.Load(source=source, shape=shape, split=split)
        title = f'from "{source}"' if source else "input"
        key = self.resolver.add(op, Flow(None, schema), schema, title, span)
        return Flow(key, schema, flow.model)

    def hub(self, call: tree.Call, scope: Scope, flow: Flow) -> Flow:
        """`hub("org/name", split = "train")`."""
        given = {a.name.text if a.name else "name": a.value for a in call.arguments}
        texts = {name: value.value for name, value in given.items() if isinstance(value, tree.Text)}
        if "name" not in texts or not set(texts) <= {"name", "split"} or len(texts) != len(given):
            raise problem(
                "E304",
                "`hub` takes a text and a split",
                call.span,
                "not understood",
                help='write `hub("org/name", split = "train")`',
            )
        return self.load(f"hub:{texts['name']}", None, texts.get("split", "train"), flow, call.span)

    def save(self, step: tree.Step, scope: Scope, flow: Flow) -> Flow:
        path = self.only_thing(step, "a text")
        self.allowed(step, ("as",))
        flow = self.resolver.input(flow)
        value = convert(path, str, self.resolver.place(scope, flow, "`save`"))
        op = core.Save(path=value, shape=self.format_name(step))
        return replace(flow, key=self.resolver.add(op, flow, flow.schema, f'save "{value}"', step.span))

    def format_name(self, step: tree.Step) -> str | None:
        clause = self.clause(step, "as")
        if clause is None:
            return None
        known = ("alpaca", "sharegpt", "messages", "prompt", "jsonl", "json", "csv", "parquet")
        value = clause.values[0]
        name = value.text if isinstance(value, tree.Name) else getattr(value, "value", "")
        if name not in known:
            raise problem(
                "E214",
                f"no format is called `{name}`",
                value.span,
                "unknown format",
                help=suggestion(str(name), known, "a format"),
            )
        return str(name)

    # Rows and columns

    def filter(self, step: tree.Step, scope: Scope, flow: Flow) -> Flow:
        condition = self.only_thing(step, "a condition")
        self.allowed(step, ())
        flow = self.resolver.input(flow)
        flow, expression = self.expression(condition, scope, flow, "`filter`", "bool")
        op = core.Filter(condition=expression)
        return self.added(op, flow, flow.schema, f"filter {expression.text}", step.span)

    def derive(self, step: tree.Step, scope: Scope, flow: Flow) -> Flow:
        flow = self.resolver.input(flow)
        self.allowed(step, ())
        for thing in step.things:
            if not isinstance(thing, tree.Assign):
                raise problem(
                    "E306",
                    "`derive` takes `name = expression`",
                    thing.span,
                    "no name",
                    help="write `derive evol = complexity * quality`",
                )
            flow, value = self.expression(thing.value, scope, flow, "`derive`", "any")
            name = thing.name.text
            self.free_column(name, flow.schema, thing.name.span, allow_step=True)
            op = core.Derive(name=name, value=value)
            schema = flow.schema.plus(
                Column(name, kind_of(value.tree, flow.schema), "step", span=thing.name.span)
            )
            flow = self.added(
                op, flow, schema, f"derive {name} = {_value_shown(thing.value, scope)}", thing.span
            )
        return flow

    def sort(self, step: tree.Step, scope: Scope, flow: Flow) -> Flow:
        self.allowed(step, ("by", "with"))
        flow = self.resolver.input(flow)
        if step.things:
            raise problem(
                "E306",
                "`sort` takes its order after `by`",
                step.things[0].span,
                "no `by`",
                help="write `sort by ifd`",
            )
        if self.clause(step, "by") is None:
            raise problem("E306", "`sort` needs an order", step.span, "no `by`", help="write `sort by ifd`")
        op = self.fields.build(core.Sort, (), step.clauses, scope, flow, step.span)
        return self.added(op, flow, flow.schema, _title(step, scope), step.span)

    def semijoin(self, step: tree.Step, scope: Scope, flow: Flow) -> Flow:
        other = self.only_thing(step, "a dataset")
        self.allowed(step, ())
        flow = self.resolver.input(flow)
        data = self.resolver.dataset(other, scope, flow)
        op = core.Without(other=data) if step.verb.text == "without" else core.Join(other=data)
        return self.added(op, flow, flow.schema, _title(step, scope), step.span)

    def algebra(self, expression: tree.Binary, scope: Scope, flow: Flow) -> Flow:
        """Two datasets combined by row; the columns of both go on, and of a difference those of the left."""
        left = self.resolver.rows(expression.left, scope, flow)
        right = self.resolver.rows(expression.right, scope, flow)
        schema = left.schema.without_spread()
        if expression.operator != "-":
            schema = schema.with_columns_of(right.schema)
        data = self.resolver.dataset(expression.right, scope, flow)
        op = core.Algebra(operator=expression.operator, other=data)  # type: ignore[arg-type]
        key = self.resolver.add(op, left, schema, f"{expression.operator}", expression.span)
        return Flow(key, schema, right.model or left.model)

    # Columns by operations

    def adding(self, step: tree.Step, scope: Scope, flow: Flow) -> Flow:
        """`score`, `embed`, `cluster` …: one column for each noun."""
        flow = self.resolver.input(flow)
        if len(step.things) > 1 and self.clause(step, "as"):
            raise problem(
                "E306",
                "`as` names one column",
                step.span,
                f"{len(step.things)} columns",
                help="write a step for each",
            )
        for thing in step.things or (None,):
            flow = self.add_column(step, thing, scope, flow)
        return flow

    def add_column(
        self, step: tree.Step, thing: tree.Expr | tree.Assign | None, scope: Scope, flow: Flow
    ) -> Flow:
        kind, arguments, span = self.noun(step, thing, scope)
        op, flow = self.built(kind, arguments, step, scope, flow, span)
        assert isinstance(op, Adds)
        name = op.name or op.noun or {"embed": "embedding"}.get(step.verb.text, step.verb.text)
        self.free_column(name, flow.schema, span, allow_step=False)
        op = self.with_values(op.model_copy(update={"name": name}), flow, span)
        better = op.better if isinstance(op, Score) else None
        schema = flow.schema.plus(Column(name, op.kind, "step", better, self.name_span(step, thing)))
        return self.added(op, flow, schema, _title(step, scope, thing), span)

    def name_span(self, step: tree.Step, thing: tree.Expr | tree.Assign | None) -> tree.Span:
        """Where a step writes the name of the column that it adds."""
        renamed = self.clause(step, "as")
        if renamed:
            return renamed.values[0].span
        match thing:
            case tree.Call():
                return thing.name.span
            case None:
                return step.verb.span
            case _:
                return thing.span

    def selecting(self, step: tree.Step, scope: Scope, flow: Flow) -> Flow:
        """`top`, `bottom`, `sample`, `dedup`, `diversify`: fewer rows, or rows marked for the next choice."""
        flow = self.resolver.input(flow)
        thing = self.one_thing(step)
        amount = step.verb.text in ("top", "bottom", "sample") and not self.is_noun(step.verb.text, thing)
        kind, arguments, span = self.verb_itself(step, thing) if amount else self.noun(step, thing, scope)
        if issubclass(kind, Cluster):
            return self.spread(kind, arguments, step, scope, flow, span)
        if "by" in kind.model_fields and step.verb.text in ("top", "bottom") and not self.clause(step, "by"):
            flow, given = flow, {"by": self.single_score(step, scope, flow)}
        else:
            given = {}
        op, flow = self.built(kind, arguments, step, scope, flow, span, given)
        assert isinstance(op, Select)
        op = self.with_values(op, flow, span)
        return self.added(op, flow, flow.schema.without_spread(), _title(step, scope, thing), span)

    def with_values(self, op: O, flow: Flow, span: tree.Span) -> O:
        """The operation with the values of a column to compare with, where it wants them and has no dataset."""
        if not op.values_of or any(isinstance(r, Data) for r in op.references()):
            return op
        return op.model_copy(update={"against": self.values(getattr(op, op.values_of), flow, span)})

    def values(self, column: Expression, flow: Flow, span: tree.Span) -> Data:
        """The different values of a column of lists, as a dataset."""
        title = f"the values of `{column.text}`"
        op = core.Values(column=column)
        return Data(key=self.resolver.add(op, flow, Schema(open=False), title, span), label=title)

    def spread(
        self,
        kind: type[Op],
        arguments: Sequence[tree.Argument],
        step: tree.Step,
        scope: Scope,
        flow: Flow,
        span: tree.Span,
    ) -> Flow:
        """`diversify kmeans(100)`: the clusters mark the rows for the next choice."""
        op, flow = self.built(kind, arguments, step, scope, flow, span)
        mark = f"@{op.noun}"
        op = op.model_copy(update={"name": mark})
        schema = replace(flow.schema.plus(Column(mark, "label", "step")), spread=mark)
        return self.added(op, flow, schema, _title(step, scope), span)

    def single_score(self, step: tree.Step, scope: Scope, flow: Flow) -> Expression:
        """The one score in scope, which `top` without `by` takes."""
        scores = flow.schema.scores
        if len(scores) == 1:
            name = tree.Name(scores[0].name, True, span=step.verb.span)
            return checked(name, self.resolver.place(scope, flow, f"`{step.verb.text}`"))
        if scores:
            raise problem(
                "E311",
                f"`{step.verb.text}` without `by` needs exactly one score",
                step.span,
                f"{len(scores)} scores are in scope",
                help=f"write `by` and one of {choices(s.name for s in scores)}",
            )
        raise problem(
            "E311",
            f"`{step.verb.text}` without `by` needs a score",
            step.span,
            "no score is in scope",
            help="score the rows first, such as `score ifd using gpt2`, or write `by len(response)`",
        )

    def evaluating(self, step: tree.Step, scope: Scope, flow: Flow) -> Flow:
        """`evaluate`: a report; the rows go on as they are, and so does the model used last."""
        flow = self.resolver.input(flow)
        thing = self.one_thing(step)
        kind, arguments, span = self.noun(step, thing, scope)
        op, after = self.built(kind, arguments, step, scope, flow, span)
        assert isinstance(op, Evaluate)
        if "against" in kind.model_fields and not any(isinstance(r, Data) for r in op.references()):
            op = op.model_copy(update={"against": self.rows_before(flow, op.reads())})
        return self.added(
            op, replace(after, model=flow.model), after.schema, _title(step, scope, thing), span
        )

    def rows_before(self, flow: Flow, columns: frozenset[str]) -> Data:
        """The rows that a chain began with, or the first with these columns."""
        assert flow.key is not None
        key = flow.key
        while inputs := self.resolver.nodes[key].inputs:
            node, before = self.resolver.nodes[key], self.resolver.nodes[inputs[0]].schema
            joined = isinstance(node.op, core.Algebra) and node.op.operator == "+"
            if joined or before is None or any(before.get(name) is None for name in columns):
                break
            key = inputs[0]
        return Data(key=key, label="the rows before")

    # Nouns and fields

    def noun(
        self, step: tree.Step, thing: tree.Expr | tree.Assign | None, scope: Scope
    ) -> tuple[type[Op], Sequence[tree.Argument], tree.Span]:
        """The operation that a noun names, its arguments, and where it stands."""
        verb = step.verb.text
        if thing is None:
            kind = self.resolver.catalogue.find(verb, "")
            if kind is None:
                raise self.noun_problem(verb, None, step.span)
            return kind, (), step.span
        if not isinstance(thing, tree.Name | tree.Call):
            what = kind_in_words(thing) if not isinstance(thing, tree.Assign) else "an assignment"
            raise problem(
                "E306",
                f"`{verb}` takes a noun, not {what}",
                thing.span,
                "not a noun",
                help=suggestion("", self.resolver.catalogue.nouns(verb), "a noun"),
            )
        name = thing.text if isinstance(thing, tree.Name) else thing.name.text
        kind = self.find(verb, name)
        if kind is None:
            raise self.noun_problem(verb, name, (thing if isinstance(thing, tree.Name) else thing.name).span)
        return kind, thing.arguments if isinstance(thing, tree.Call) else (), thing.span

    def find(self, verb: str, noun: str) -> type[Op] | None:
        catalogue = self.resolver.catalogue
        found = catalogue.find(verb, noun)
        return found or (catalogue.find("cluster", noun) if verb == "diversify" else None)

    def is_noun(self, verb: str, thing: tree.Expr | tree.Assign | None) -> bool:
        """Whether what follows `top` or `sample` is a sampler and not an amount."""
        return isinstance(thing, tree.Call) or (
            isinstance(thing, tree.Name) and self.find(verb, thing.text) is not None
        )

    def verb_itself(
        self, step: tree.Step, thing: tree.Expr | tree.Assign | None
    ) -> tuple[type[Op], Sequence[tree.Argument], tree.Span]:
        """The verb's own operation, with the amount as its argument."""
        kind = self.resolver.catalogue.find(step.verb.text, "")
        if kind is None:
            raise self.noun_problem(step.verb.text, None, step.span)
        if thing is None or isinstance(thing, tree.Assign):
            raise problem(
                "E303",
                f"`{step.verb.text}` needs an amount",
                step.span,
                "no amount",
                help=f"write `{step.verb.text} 5%` or `{step.verb.text} 1000`",
            )
        return kind, (tree.Argument(None, thing, span=thing.span),), step.span

    def noun_problem(self, verb: str, noun: str | None, span: tree.Span) -> Exception:
        nouns = self.resolver.catalogue.nouns(verb)
        if verb == "diversify":
            nouns = sorted({*nouns, *self.resolver.catalogue.nouns("cluster")})
        other = self.resolver.catalogue.verbs(noun) if noun else []
        help = suggestion(noun or "", nouns, "a noun") or (f"this version has no noun for `{verb}`",)
        if other:
            help = (f"write `{other[0]} {noun}`",)
        headline = f"`{verb}` has no noun called `{noun}`" if noun else f"`{verb}` needs a noun"
        return problem("E202", headline, span, "unknown noun" if noun else "no noun", help=help)

    def noun_missing(self, step: tree.Step, scope: Scope, flow: Flow) -> Flow:
        thing = self.one_thing(step)
        name = (
            thing.text
            if isinstance(thing, tree.Name)
            else getattr(getattr(thing, "name", None), "text", None)
        )
        raise self.noun_problem(step.verb.text, name, thing.span if thing else step.span)

    def built(
        self,
        kind: type[Op],
        arguments: Sequence[tree.Argument],
        step: tree.Step,
        scope: Scope,
        flow: Flow,
        span: tree.Span,
        given: Mapping[str, Any] | None = None,
    ) -> tuple[Op, Flow]:
        """The operation of a step, and the flow with its model as the one used last."""
        flow = self.with_tokens(arguments, step.clauses, scope, flow)
        op = self.fields.build(kind, arguments, step.clauses, scope, flow, span, given)
        used = next((r for r in op.references() if isinstance(r, Model)), None)
        return op, flow.using(used)

    # Parts of steps

    def expression(
        self, expression: tree.Expr | tree.Assign, scope: Scope, flow: Flow, what: str, wants: Any
    ) -> tuple[Flow, Expression]:
        """The checked expression, after adding the token counts that it reads."""
        if isinstance(expression, tree.Assign):
            raise problem(
                "E306",
                f"{what} takes an expression",
                expression.span,
                "an assignment",
                help="for equality write `==`",
            )
        flow = self.with_token_counts(expression, flow, scope)
        return flow, checked(expression, self.resolver.place(scope, flow, what), wants)

    def with_tokens(
        self, arguments: Sequence[tree.Argument], clauses: Clauses, scope: Scope, flow: Flow
    ) -> Flow:
        """The flow with the token counts that `by tokens(…)` reads."""
        for clause in clauses:
            if clause.keyword == "by":
                flow = self.with_token_counts(clause.values[0], flow, scope)  # type: ignore[arg-type]
        return flow

    def with_token_counts(self, expression: tree.Expr, flow: Flow, scope: Scope) -> Flow:
        for call in _calls(expression, "tokens"):
            column = call.arguments[0].value if len(call.arguments) == 1 else None
            if (
                not isinstance(column, tree.Name)
                or column.text not in ("prompt", "response")
                or not flow.model
            ):
                continue
            name = f"@tokens.{column.text}"
            if flow.schema.get(name) is None:
                flow = self.token_counts(column.text, name, flow, call.span)
        return flow

    def token_counts(self, part: str, name: str, flow: Flow, span: tree.Span) -> Flow:
        kind = self.resolver.catalogue.find("score", "length")
        assert kind is not None, "the standard library has `score length`"
        op = kind(name=name, unit="tokens", of=part, using=flow.model)  # type: ignore[call-arg]
        schema = flow.schema.plus(Column(name, "number", "step"))
        return self.added(op, flow, schema, f"tokens({part})", span)

    def added(self, op: Op, flow: Flow, schema: Schema, title: str, span: tree.Span) -> Flow:
        key = self.resolver.add(op, flow, schema, title, span)
        return Flow(key, schema, flow.model)

    def only_thing(self, step: tree.Step, what: str) -> tree.Expr:
        thing = self.one_thing(step)
        if thing is None or isinstance(thing, tree.Assign):
            raise problem(
                "E306",
                f"`{step.verb.text}` needs {what}",
                step.span,
                "nothing there" if thing is None else "an assignment",
                help=f"write `{step.verb.text} {_THINGS[what]}`",
            )
        return thing

    def one_thing(self, step: tree.Step) -> tree.Expr | tree.Assign | None:
        if len(step.things) > 1:
            raise problem(
                "E306",
                f"`{step.verb.text}` takes one thing",
                step.things[1].span,
                "one too many",
                help="write a step for each",
            )
        return step.things[0] if step.things else None

    def clause(self, step: tree.Step, keyword: str) -> tree.Clause | None:
        return next((c for c in step.clauses if c.keyword == keyword), None)

    def allowed(self, step: tree.Step, keywords: Sequence[str]) -> None:
        for clause in step.clauses:
            if clause.keyword not in keywords:
                raise problem(
                    "E306",
                    f"`{step.verb.text}` takes no `{clause.keyword}`",
                    clause.span,
                    "not for this verb",
                    help=f"it takes {choices(keywords)}" if keywords else "leave it out",
                )

    def free_column(self, name: str, schema: Schema, span: tree.Span, *, allow_step: bool) -> None:
        """Refuses a name that is taken, so that no column of the file is ever lost."""
        if name.startswith("@"):
            raise problem(
                "E508",
                f"`{name}` is no name for a column",
                span,
                "begins with `@`",
                help=f"leave the `@` out: `{name.lstrip('@') or 'at'}`",
            )
        taken = schema.get(name)
        if taken is None or (allow_step and taken.origin == "step"):
            return
        where = {"row": "every row has", "file": "the file has", "step": "an earlier step adds"}[taken.origin]
        raise problem(
            "E312",
            f"{where} a column `{name}` already",
            span,
            "the same name again",
            help=f"give it another name, such as `as {name}_2`" if not allow_step else "use another name",
        )


_THINGS: Mapping[str, str] = {
    "a dataset": '"rows.jsonl"',
    "a text": '"chosen.jsonl"',
    "a condition": "len(response) > 10",
}


def _calls(expression: tree.Expr, name: str) -> list[tree.Call]:
    """The calls of one function in an expression."""
    match expression:
        case tree.Unary():
            return _calls(expression.operand, name)
        case tree.Binary():
            return _calls(expression.left, name) + _calls(expression.right, name)
        case tree.Call():
            inside = [c for a in expression.arguments for c in _calls(a.value, name)]
            return inside + ([expression] if expression.name.text == name else [])
        case _:
            return []


def _title(step: tree.Step, scope: Scope, thing: tree.Expr | tree.Assign | None = None) -> str:
    from ..dsl.format import format_step

    return format_step(step_written_out(step if thing is None else replace(step, things=(thing,)), scope))


def _value_shown(value: tree.Expr, scope: Scope) -> str:
    from ..dsl.format import format_expression

    return format_expression(written_out(value, scope))
