"""Which engine runs which kind of model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ...compiler.values import ModelKind
from ...compiler.wants import Want
from ...errors import ModelError
from .body import Body
from .encoders import Encoder
from .engine import Asked, Engine
from .heads import Classifier
from .images import EyesAndWords
from .ranks import Ranking
from .seq2seq import EncoderDecoder

if TYPE_CHECKING:
    from ..models import LoadedModel
    from ..tokens import Sequences

ENGINES: Mapping[ModelKind, type[Engine]] = {
    "causal": Body,
    "encoder": Encoder,
    "classifier": Classifier,
    "seq2seq": EncoderDecoder,
    "ranker": Ranking,
    "vision": EyesAndWords,
}


def prepared_engine(model: LoadedModel) -> Engine:
    """What runs the model, made at its first use; as a text it says how."""
    return ENGINES[model.card.kind].prepared(model)


def asked(model: LoadedModel, sequences: Sequences, wants: Sequence[Want]) -> Asked:
    """The model's engine with the question. Raises ModelError E440, E442, E443 and what `of` raises."""
    kind = ENGINES[model.card.kind]
    if strange := next((want for want in wants if not isinstance(want, kind.wants)), None):
        raise ModelError(
            "E442", f"{kind.noun} does not answer `{type(strange).__name__.lower()}`",
            help="use the kind of model that the operation asks for; `selrun ops` names it",
        )  # fmt: skip
    return kind.prepared(model).ask(model, sequences, wants)
