"""How operations and methods are shown in a terminal."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterator, Sequence

from ..dsl.words import VERBS
from .nearby import nearby_words
from .options import UsageError
from .reference import NO_VALUE, Method, Operation, Parameter, methods, operations

WIDEST = 100
"""Columns of a page; a narrower terminal has fewer, and what is no terminal has these."""
VERBS_AND_MORE = {**VERBS, "model": "makes a model; used after `using` and `let`"}


def operations_text() -> str:
    """Every verb with its nouns."""
    found = operations()
    lines = [line for verb in VERBS_AND_MORE for line in verb_lines(verb, found)]
    more = "`selrun ops NOUN` describes one; `selrun methods` lists the methods"
    return "\n".join([*lines, "", more])


def verb_lines(verb: str, found: Sequence[Operation]) -> list[str]:
    """A verb and its nouns, each with what it gives."""
    width = max(len(each.noun) for each in found)
    mine = [each for each in found if each.verb == verb]
    missing = "" if mine or verb == "load" else " (nothing installed does)"
    lines = wrapped(f"{VERBS_AND_MORE[verb]}{missing}", f"{verb:<{width + 2}} ", " " * (width + 3))
    return lines + [line for each in mine if each.noun for line in told(each.title, each.noun, width)]


def described(name: str) -> str:
    """The operations of a name, and of a verb its nouns. Raises UsageError where there is nothing."""
    found = operations()
    texts = [operation_text(each) for each in found if name in (each.noun, each.name)]
    if any(each.noun for each in found if each.verb == name):
        texts.append("\n".join(verb_lines(name, found)))
    if not texts:
        raise unknown_operation(name)
    return "\n\n".join(texts)


def columns() -> int:
    """How wide a line may be."""
    return min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns)


def told(title: str, name: str, width: int) -> list[str]:
    """A name and the sentence beside it, or the sentence's first part where not all of it fits in a line."""
    first, rest = f"  {name:<{width}} ", " " * (width + 3)
    whole = wrapped(title, first, rest)
    return whole if len(whole) == 1 else wrapped(re.split(r"[:;] ", title)[0].rstrip("."), first, rest)


def operation_text(operation: Operation) -> str:
    """All that is known of one operation."""
    lines = [operation.name, "", *wrapped(operation.title), *paragraphs(operation.text)]
    if operation.parameters:
        lines += ["", "parameters", *parameter_lines(operation.parameters)]
    if operation.facts:
        width = max(len(name) for name, _ in operation.facts)
        lines += [""]
        for name, value in operation.facts:
            lines += wrapped(value, f"{name:<{width}}  ", " " * (width + 2))
    if operation.example:
        lines += ["", "example", *(f"  {line}" for line in operation.example.splitlines())]
    return "\n".join(lines)


def parameter_lines(parameters: Sequence[Parameter]) -> Iterator[str]:
    width = max(len(usage(parameter)) for parameter in parameters)
    for parameter in parameters:
        facts = f"{parameter.type}; {default_text(parameter)}"
        yield f"  {usage(parameter):<{width}}  {facts}"
        if parameter.doc:
            yield from wrapped(parameter.doc, " " * (width + 4), " " * (width + 4))


def usage(parameter: Parameter) -> str:
    """How the parameter is given: by place, after a clause, or named."""
    match parameter.place:
        case "argument":
            return parameter.name
        case "with":
            return f"with {parameter.name} ="
        case clause:
            return f"{clause} …"


def default_text(parameter: Parameter) -> str:
    if parameter.default == NO_VALUE:
        return "may be left out"
    if parameter.default is not None:
        return f"{parameter.default} if not given"
    return f"{parameter.otherwise} if not given" if parameter.otherwise else "must be given"


def methods_text(found: Sequence[Method]) -> str:
    """Every method with its parameters and the first sentence of its header."""
    lines: list[str] = []
    for method in found:
        lines += [*wrapped(signature(method), "", "    "), *wrapped(method.title, "  ", "  ")]
    return "\n".join([*lines, "", "`selrun methods NAME` shows all of one"])


def method_text(method: Method) -> str:
    """The header, the parameters and the definition of a method."""
    lines = [
        *wrapped(signature(method), "", "    "),
        "",
        *(line for part in sentences(method.doc) for line in wrapped(part)),
    ]
    if method.parameters:
        lines += ["", "parameters", *parameter_lines(method.parameters)]
    return "\n".join([*lines, "", "definition", *(f"  {line}" for line in method.text.splitlines())])


def signature(method: Method) -> str:
    """`cherry(m, keep = 5%)`."""
    given = (p.name if p.default is None else f"{p.name} = {p.default}" for p in method.parameters)
    return f"{method.name}({', '.join(given)})"


def unknown_operation(name: str) -> UsageError:
    """The error for a noun that nothing has; methods and verbs are looked at too."""
    if name in {method.name for method in methods()}:
        return UsageError(f"`{name}` is a method", f"see `selrun methods {name}`")
    if name == "load":
        return UsageError("`load` is another word for `from`", "see `selrun ops from`")
    if name in VERBS:
        return UsageError(
            f"nothing installed can `{name}`", "the verb is kept for a later version or a plug-in"
        )
    known = [each.noun or each.verb for each in operations()]
    return UsageError(f"no operation is called `{name}`", nearby_words(name, known, "an operation"))


def sentences(text: str) -> list[str]:
    """The parts of a header: a line that ends in a full stop ends one."""
    return re.split(r"(?<=\.)\n", text)


def paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n") if text else ():
        yield ""
        yield from wrapped(paragraph)


def wrapped(text: str, first: str = "", later: str = "") -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()), columns(), initial_indent=first, subsequent_indent=later, break_on_hyphens=False,
        break_long_words=False,
    )  # fmt: skip
