"""What an operation asks of one pass of one model over one view of a row."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from .values import Data

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
    reply: str | None = None
    """What stands in the response's place, such as `yes` or `{prompt}`; the row's own response if not given."""


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
    seam: Literal["apart", "joint", "own", "closed"] = "apart"
    """`joint`: tokenise prompt and response as one text and find the seam by the prompt's own token count,
    as the published scripts do; a merge across the seam moves it. `own`: the prompt side as one text, or prompt
    and response as a pair of texts, with the tokenizer's own special tokens; earlier turns stand before the
    prompt, each on a line of its own. `closed`: the conversation as the model's chat template writes it when the
    response is over. In both a row that is too long loses the end of its own text and no special token."""
    start: Literal["always", "tokenizer", "never"] = "always"
    """`always`: one start token, BOS or else EOS; `tokenizer`: whatever the tokenizer itself adds; `never`:
    none."""
    beside: int | None = None
    """Of a view without the prompt: the response is cut to `limit - len(prompt tokens) + beside` tokens in
    all, so that it loses the same tokens as beside its prompt. `None` with parts `("response",)` and
    `seam="apart"` cuts the response to exactly what the prompt+response view keeps."""
    turns: Literal["last", "whole", "first", "each", "pairs", "sentences"] = "last"
    """Of a conversation: the last response after everything before it, or every response in its place. `each`:
    every exchange by itself, and the lists that a want gives of them one after another; one that nobody answers
    is shown with an empty response. `pairs`: the same of every two turns, whoever says them; `first`: of the
    first two alone. `sentences`: the same of the sentences of the last response, each as a response after
    everything before it."""
    tail: bool = False
    """Of a row that is too long, its own text is cut, and what follows it in the template stays."""
    text: tuple[str, ...] | None = None
    """The columns that are not empty, joined by a line break, in place of a template, with the tokenizer's own
    special tokens."""
    chunk: int | None = None
    """A longer row is read in pieces of so many tokens, and what is asked is answered for all of them together."""
    images: str | None = None
    """The folder in which the row's images lie, for models that look at them."""
    stripped: bool = False
    """The row's texts lose the blanks at both their ends."""

    def showing(self, *parts: Part) -> View:
        """The same view with other parts."""
        return replace(self, parts=parts)


@dataclass(frozen=True, slots=True)
class Logprobs:
    """Log-probability of every token of the span given all tokens before it: `List(Float32)`, nats.

    A token without a token before it has none, so the list of a span that starts the view is one shorter.
    """

    span: Span = "response"
    padded: bool = False
    """The softmax has one more entry, a padding token whose output embedding is the mean of all others."""


@dataclass(frozen=True, slots=True)
class Continued:
    """The log-probability of the response of every anchor after the row: `List(Float32)`, nats, summed over tokens.

    One number per row of `anchors`, in their order. The model reads the tokens of the row, the `between` of the
    anchors' template, and the anchor's tokens in `view` without their start token. An anchor without a response
    token in its view has null; a row that does not fit into the model's context beside the longest anchor has a
    problem.
    """

    anchors: Data
    view: View
    padded: bool = False
    """As of `Logprobs`."""


@dataclass(frozen=True, slots=True)
class Perturbed:
    """What the prompt adds to the loss of the response's tokens, in copies of the row: `List(Float32)`, nats.

    loss(t | prompt) - loss(t) of every token t that both views predict, one copy after another. To each number of
    each token's embedding a copy adds a draw from the uniform distribution on ±alpha / √(tokens · size), to a
    token of the response the same in both views; the draws follow from seed and row. A row that either view
    cannot show has a problem.
    """

    alone: View
    """The response without its prompt."""
    copies: int
    alpha: float = 5.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Entropies:
    """Entropy of the distribution that predicts every token of the span: `List(Float32)`, nats."""

    span: Span = "response"


@dataclass(frozen=True, slots=True)
class RelativeEntropies:
    """The same entropies as a part of ln(vocabulary), the greatest there can be: `List(Float32)`, 0 to 1."""

    span: Span = "response"


@dataclass(frozen=True, slots=True)
class TopTwo:
    """Log-probabilities of the two likeliest tokens in every token's place: `List(Float32)`, two for each.

    They take turns: the likeliest and the second of the first place, then those of the next.
    """

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
class Logits:
    """What a classification or regression head gives for the view: `List(Float32)`, one number a label.

    Of a view in chunks: the mean over the chunks, weighted by their tokens.
    """

    label: int | str | None = None
    """The label, by its place or name, whose number stands first."""
    single: bool = False
    """The head must have one label and no more."""


@dataclass(frozen=True, slots=True)
class Rank:
    """The number that a ranker gives for the view, from all layers of an encoder: `Float32`."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """The cosine similarity of the view's text and the row's image, the mean over several: `Float32`."""


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


Along: TypeAlias = Logprobs | Entropies | RelativeEntropies | TopTwo
"""What is asked of every token's place by itself, from the distribution that predicts it."""

Want: TypeAlias = (
    Logprobs
    | Continued
    | Perturbed
    | Entropies
    | RelativeEntropies
    | TopTwo
    | Hidden
    | NextToken
    | Tokens
    | Gradient
    | Logits
    | Rank
    | Likeness
    | Embedding
    | Generated
    | Answered
)
