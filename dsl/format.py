"""Writes a recipe in its one canonical form: same meaning, same comments, and stable when written again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import assert_never

from . import tree

WIDTH = 100
INDENT = "  "

PRECEDENCE = {
    "or": 1, "and": 2, "not": 3, "==": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4, "in": 4, "not in": 4,
    "&": 5, "+": 6, "-": 6, "*": 7, "/": 7,
}  # fmt: skip
UNARY_MINUS, ATOM = 8, 9


def format_recipe(recipe: tree.Recipe | str) -> str:
    """The canonical text of a recipe, ending in a line break; the recipe must parse without a problem."""
    if isinstance(recipe, str):
        from .parse import parse

        recipe = parse(tree.Source("recipe", recipe)).recipe
    return Writer(recipe).text()


def format_expression(expression: tree.Expr | tree.Chain) -> str:
    """The canonical text of an expression or chain, in one line."""
    return chain_text(expression) if isinstance(expression, tree.Chain) else expression_text(expression)


def format_step(step: tree.AnyStep) -> str:
    """The canonical text of a step, in one line."""
    match step:
        case tree.AlgebraStep():
            text = expression_text(step.value)
            return text if text.startswith("(") else f"({text})"
        case tree.RepeatStep():
            return f"repeat {expression_text(step.times)} {{ {chain_text(step.body)} }}"
        case tree.CallStep():
            return " ".join((expression_text(step.call), *map(clause_text, step.clauses)))
        case tree.Step():
            texts = [thing_text(thing) for thing in step.things]
            things = ", ".join((*map(after_word, texts[:1]), *texts[1:]))
            head = f"{name_text(step.verb)} {things}" if things else name_text(step.verb)
            return " ".join((head, *map(clause_text, step.clauses)))
        case _:
            assert_never(step)


def chain_text(chain: tree.Chain) -> str:
    return " | ".join(map(format_step, chain.steps))


def thing_text(thing: tree.Expr | tree.Assign) -> str:
    if isinstance(thing, tree.Assign):
        return f"{name_text(thing.name)} = {expression_text(thing.value)}"
    return expression_text(thing)


def clause_text(clause: tree.Clause) -> str:
    values = ", ".join(map(thing_text, clause.values))
    return f"{clause.keyword} {after_word(values) if clause.keyword == 'as' else values}"


def after_word(text: str) -> str:
    """The text where a name follows: there `model "id"` would read as a name and a text."""
    return f"({text})" if text.startswith('model "') else text


def name_text(name: tree.Name) -> str:
    return f"`{name.text}`" if name.quoted else name.text


def expression_text(expression: tree.Expr) -> str:
    """The text with the fewest parentheses that keep the meaning."""
    match expression:
        case tree.Quantity():
            return expression.text
        case tree.Text():
            return text_text(expression)
        case tree.Bool():
            return "true" if expression.value else "false"
        case tree.Null():
            return "null"
        case tree.Name():
            return name_text(expression)
        case tree.ListOf():
            return f"[{', '.join(map(expression_text, expression.items))}]"
        case tree.Call():
            return call_text(expression)
        case tree.Dataset():
            return f"({chain_text(expression.chain)})"
        case tree.Unary() | tree.Binary():
            return operation_text(expression)
        case _:
            assert_never(expression)


def call_text(call: tree.Call) -> str:
    first = call.arguments[0] if len(call.arguments) == 1 else None
    if call.name.text == "model" and first and first.name is None and isinstance(first.value, tree.Text):
        return f"model {expression_text(first.value)}"
    arguments = ", ".join(
        f"{name_text(a.name)} = {expression_text(a.value)}" if a.name else expression_text(a.value)
        for a in call.arguments
    )
    return f"{call.name.text}({arguments})"


def operation_text(expression: tree.Unary | tree.Binary) -> str:
    own = strength(expression)
    if isinstance(expression, tree.Unary):
        mark = "not " if expression.operator == "not" else "-"
        return mark + within(expression.operand, own)
    # A comparison takes no comparison on either side; the others lean to the left.
    left = within(expression.left, own + (own == PRECEDENCE["=="]))
    return f"{left} {expression.operator} {within(expression.right, own + 1)}"


def within(expression: tree.Expr, least: int) -> str:
    text = expression_text(expression)
    return text if strength(expression) >= least else f"({text})"


def strength(expression: tree.Expr) -> int:
    """How tightly an expression binds."""
    match expression:
        case tree.Binary():
            return PRECEDENCE[expression.operator]
        case tree.Unary(operator="not"):
            return PRECEDENCE["not"]
        case tree.Unary():
            return UNARY_MINUS
        case _:
            return ATOM


def text_text(text: tree.Text) -> str:
    """A text with several lines stands between triple quotes where that reads the same again."""
    if text.block and "\n" in text.value:
        return block_text(text.value)
    return json.dumps(text.value, ensure_ascii=False)


def block_text(value: str) -> str:
    from .build import text_value

    escaped = value.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    written = '"""\n' + escaped + '\n"""'
    same = text_value(written, tree.Span(tree.Source("", ""), 0, 0)).value == value
    return written if same else json.dumps(value, ensure_ascii=False)


class Writer:
    """Puts statements and the comments between them in order."""

    def __init__(self, recipe: tree.Recipe):
        self.recipe = recipe
        self.comments = sorted(recipe.comments, key=lambda c: c.span.start)
        self.used = 0
        self.commented = False
        self.lines: list[str] = []

    def text(self) -> str:
        """The whole recipe."""
        end = 0
        for statement in self.recipe.statements:
            self.before(statement.span, end)
            self.statement(statement, "")
            end = self.trailing(statement.span.end)
        self.before(None, end)
        return "\n".join(self.lines).rstrip("\n") + "\n" if self.lines else ""

    # Comments

    def before(self, span: tree.Span | None, end: int, indent: str = "") -> None:
        """The comments above a statement, and one blank line where there were some."""
        end = self.above(span.start if span else None, end, indent)
        if span is not None:
            self.gap(end, span.start)

    def above(self, until: int | None, end: int, indent: str) -> int:
        """Comments on lines of their own, with the blank lines between them; the place where the last ends."""
        for comment in self.taken(until):
            self.gap(end, comment.span.start)
            self.lines.append(indent + comment.text)
            end = comment.span.end
        return end

    def gap(self, end: int, start: int) -> None:
        blank = self.recipe.source.text[end:start].count("\n") > 1
        if blank and self.lines and self.lines[-1]:
            self.lines.append("")

    def trailing(self, end: int) -> int:
        """Puts a comment that stands behind the statement there again; the place where it ends."""
        comment = self.comments[self.used] if self.used < len(self.comments) else None
        if comment is None or "\n" in self.recipe.source.text[end : comment.span.start] or comment.own_line:
            return end
        self.used += 1
        self.beside(comment)
        return comment.span.end

    def beside(self, comment: tree.Comment, indent: str = "") -> None:
        """Puts a comment behind the last line, or below it where one stands there already."""
        if self.commented:
            self.lines.append(indent + comment.text)
        else:
            self.lines[-1] += f"  {comment.text}"
        self.commented = True

    def taken(self, until: int | None) -> Iterator[tree.Comment]:
        """The comments up to a place, each once."""
        while self.used < len(self.comments):
            comment = self.comments[self.used]
            if until is not None and comment.span.start >= until:
                return
            self.used += 1
            yield comment

    def has_comments(self, until: int) -> bool:
        return self.used < len(self.comments) and self.comments[self.used].span.start < until

    # Statements

    def statement(self, statement: tree.Statement, indent: str) -> None:
        match statement:
            case tree.Chain():
                self.chain("", statement, indent, indent)
            case tree.Let(value=tree.Chain() as chain):
                self.chain(f"let {name_text(statement.name)} =", chain, indent, indent + INDENT)
            case tree.Method():
                self.chain(method_head(statement), statement.body, indent, indent + INDENT, own_line=True)
            case tree.Repeat():
                self.repeat(statement, indent)
            case _:
                self.lines.append(indent + plain_statement(statement))
                self.commented = False
                self.inside(statement.span.end, indent)

    def repeat(self, repeat: tree.Repeat, indent: str) -> None:
        self.lines.append(f"{indent}repeat {expression_text(repeat.times)} {{")
        end = repeat.times.span.end
        for statement in repeat.body:
            self.before(statement.span, end, indent + INDENT)
            self.statement(statement, indent + INDENT)
            end = self.trailing(statement.span.end)
        self.above(repeat.span.end, end, indent + INDENT)
        while not self.lines[-1]:
            self.lines.pop()
        self.lines.append(indent + "}")
        self.commented = False

    def chain(self, head: str, chain: tree.Chain, indent: str, inner: str, *, own_line: bool = False) -> None:
        """In one line where it fits and holds no comment, else a step a line."""
        whole = f"{indent}{head} {chain_text(chain)}" if head else indent + chain_text(chain)
        self.commented = False
        if not head:
            self.inner_comments_before(chain.steps[0].span.end, indent)
        if len(whole) <= WIDTH and not self.has_comments(chain.span.end) and "\n" not in whole:
            self.lines.append(whole)
            return
        if head:
            self.lines.append(indent + head)
        self.steps(chain.steps, inner if head else indent, first_piped=False)

    def steps(self, steps: Sequence[tree.AnyStep], indent: str, *, first_piped: bool) -> None:
        for number, step in enumerate(steps):
            self.inner_comments_before(step.span.end, indent)
            mark = "| " if number or first_piped else ""
            self.lines.append(indent + mark + format_step(step))
            self.commented = False
            if number + 1 < len(steps):
                self.behind(step.span.end, steps[number + 1].span.start)

    def behind(self, end: int, following: int) -> None:
        """A comment in the same line as the step's end stays behind it."""
        comment = self.comments[self.used] if self.used < len(self.comments) else None
        if comment is None or comment.span.start >= following or comment.own_line:
            return
        if "\n" not in self.recipe.source.text[end : comment.span.start]:
            self.used += 1
            self.beside(comment)

    def inside(self, until: int, indent: str) -> None:
        """The comments inside a statement of one line: the first behind it, others below and apart from the next."""
        comments = list(self.taken(until))
        for comment in comments:
            self.beside(comment, indent)
        if len(comments) > 1:
            self.lines.append("")

    def inner_comments_before(self, until: int, indent: str) -> None:
        for comment in self.taken(until):
            self.lines.append(indent + comment.text)


def plain_statement(statement: tree.Edition | tree.Use | tree.Param | tree.Let) -> str:
    """A statement that always stands in one line."""
    match statement:
        case tree.Edition():
            return f"selrun {statement.number}"
        case tree.Use():
            alias = f" as {name_text(statement.alias)}" if statement.alias else ""
            return f"use {json.dumps(statement.path.value, ensure_ascii=False)}{alias}"
        case tree.Param():
            return f"param {param_text(statement)}"
        case tree.Let():
            assert not isinstance(statement.value, tree.Chain)
            return f"let {name_text(statement.name)} = {expression_text(statement.value)}"
        case _:
            assert_never(statement)


def param_text(param: tree.Param) -> str:
    default = f" = {expression_text(param.default)}" if param.default is not None else ""
    return f"{name_text(param.name)}: {param.type.text}{default}"


def method_head(method: tree.Method) -> str:
    return f"method {method.name.text}({', '.join(map(param_text, method.params))}) ="
