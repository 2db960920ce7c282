"""What an operation asks of one pass of one model over one view of a row."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

Part = Literal["prompt", "response"]
Span = Literal["prompt", "response", "whole"]
Pool = Literal["mean", "last", "first", "position"]


@dataclass(frozen=True, slots=True)
class Template:
    """How a row is written out for a model; two templates with equal texts are one.

    The texts hold `{instruction}` and `{input}`; substitution is single-pass, so braces in rows are safe.
    """

    name: str = field(compare=False)
    with_input: str
    """The prompt of a row whose `input` is not empty."""
    without_input: str
    header: str
    """What stands before a response that is shown without its prompt."""
    between: str = "\n\n"
    """What stands between two exchanges of one conversation."""
    chat: bool = False
    """The model's own chat template is applied; the texts above are then empty."""
    counted: str | None = None
    """What stands for the prompt where `View.beside` counts its tokens; the prompt itself where not given."""
    sliced: str | None = None
    """The prompt by whose tokens a joint view finds the response, where that is not the prompt shown."""


@dataclass(frozen=True, slots=True)
class View:
    """The tokens of a row that one pass reads.

    The tokens of a view are the start token, the prompt side (history, template, prompt: every token that is
    not response) and the response. With `seam="apart"` both sides are tokenised by themselves and concatenated.
    """

    template: Template
    parts: tuple[Part, ...] = ("prompt", "response")
    limit: int | None = None
    """At most so many tokens, start token included; the model's context where not given."""
    seam: Literal["apart", "joint"] = "apart"
    """`joint`: tokenise prompt and response as one text and find the seam by the prompt's own token count,
    as the published scripts do; a merge across the seam moves it."""
    start: Literal["always", "tokenizer"] = "always"
    """`always`: one start token, BOS or else EOS; `tokenizer`: whatever the tokenizer itself adds."""
    beside: int | None = None
    """Of a view without the prompt: the response is cut to `limit - len(prompt tokens) + beside` tokens in
    all, so that it loses the same tokens as beside its prompt. `None` with parts `("response",)` and
    `seam="apart"` cuts the response to exactly what the prompt+response view keeps."""
    turns: Literal["last", "whole"] = "last"
    """Of a conversation: the last response after everything before it, or every response in its place."""
    tail: bool = False
    """Of a row that is too long, its own text is cut, and what follows it in the template stays."""
    text: tuple[str, ...] | None = None
    """The columns joined by a line break in place of a template; for sentence encoders."""

    def showing(self, *parts: Part) -> View:
        """The same view with other parts."""
        return replace(self, parts=parts)


@dataclass(frozen=True, slots=True)
class Logprobs:
    """Log-probability of every token of the span given all tokens before it: `List(Float32)`, nats.

    A token without a token before it has none, so the list of a span that starts the view is one shorter.
    """

    span: Span = "response"


@dataclass(frozen=True, slots=True)
class Entropies:
    """Entropy of the distribution that predicts every token of the span: `List(Float32)`, nats."""

    span: Span = "response"


@dataclass(frozen=True, slots=True)
class Hidden:
    """A pooled hidden state over the span: `Array(Float32, hidden size)`.

    `layer` counts as transformers' `hidden_states` does: 0 the embedding, -1 the last layer after the final
    norm. `position` weights token t (1-based) by t, as RDS+ does.
    """

    layer: int = -1
    pool: Pool = "mean"
    span: Span = "prompt"


@dataclass(frozen=True, slots=True)
class NextToken:
    """Log-probabilities of the candidate tokens after the view: `List(Float32)`, one each, whole-vocabulary softmax.

    Every candidate must be a single token of the model's tokenizer.
    """

    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tokens:
    """How many tokens the span has: `UInt32`. Needs the tokenizer and no forward pass."""

    span: Span = "response"


@dataclass(frozen=True, slots=True)
class Gradient:
    """The gradient of the mean response loss over `params`, projected to `dim` numbers."""

    params: str
    dim: int
    precondition: Literal["none", "adam"] = "none"


@dataclass(frozen=True, slots=True)
class Scalar:
    """The number that a classification or regression head gives for the view: `Float32`."""

    head: int | None = None


@dataclass(frozen=True, slots=True)
class Embedding:
    """A sentence encoder's own vector of the view, pooled and normalised as its files say: `Array(Float32, d)`."""


@dataclass(frozen=True, slots=True)
class Generated:
    """The model's own continuation of the view: `String`."""

    limit: int
    temperature: float = 0.0


@dataclass(frozen=True, slots=True)
class Answered:
    """An LLM's raw reply to a prompt made from the row: `String`."""

    prompt: str
    temperature: float = 0.0


Want: TypeAlias = (
    Logprobs | Entropies | Hidden | NextToken | Tokens | Gradient | Scalar | Embedding | Generated | Answered
)
