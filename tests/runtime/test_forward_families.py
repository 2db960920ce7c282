"""Every want equals what a plain forward pass of one row says, in every family, budget and lack of memory."""

from __future__ import annotations

import copy
import functools
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from selrun.compiler.facts import Card
from selrun.compiler.wants import Embedding, Entropies, Hidden, Logprobs, NextToken, Span, Want
from selrun.errors import ModelError
from selrun.runtime import sweeping
from selrun.runtime.forward import Block, sweep
from selrun.runtime.models import LoadedModel, load
from selrun.runtime.nano import nano_model, nano_tokenizer
from selrun.runtime.sources import ModelSource
from selrun.runtime.tokens import Sequences

VOCABULARY, HIDDEN, LAYERS = 259, 32, 3
SPANS: tuple[Span, ...] = ("response", "prompt", "whole")
WANTS: tuple[Want, ...] = (
    *(Logprobs(span) for span in SPANS),
    *(Entropies(span) for span in SPANS),
    *(Hidden(-1, pool, "whole") for pool in ("mean", "last", "first", "position")),
    *(Hidden(layer, "mean", span) for layer in (0, 1, -2, LAYERS) for span in SPANS),
    NextToken(("A", "B", "z")),
    NextToken(("B",)),
)


# Models


def shape(**more: Any) -> dict[str, Any]:
    common = {
        "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN,
        "intermediate_size": 48,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
    }
    return common | {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2} | more


def network(family: str) -> Any:
    """A random model of a family, with weights large enough to tell a wrong result from a right one."""
    import transformers as t

    configs: dict[str, Callable[[], Any]] = {
        "llama": lambda: t.LlamaConfig(**shape(num_key_value_heads=4, tie_word_embeddings=True)),
        "llama with grouped heads": lambda: t.LlamaConfig(**shape()),
        "qwen": lambda: t.Qwen2Config(**shape()),
        "mistral with a window": lambda: t.MistralConfig(**shape(sliding_window=6)),
        "qwen of experts with a window": lambda: t.Qwen2MoeConfig(
            **shape(
                use_sliding_window=True,
                sliding_window=24,
                max_window_layers=0,
                num_experts=4,
                moe_intermediate_size=16,
                shared_expert_intermediate_size=16,
            )
        ),
        "llama4 in chunks": lambda: t.Llama4TextConfig(
            **shape(attention_chunk_size=24, num_local_experts=2, intermediate_size_mlp=48, head_dim=8)
        ),
        "gpt2": lambda: t.GPT2Config(
            vocab_size=VOCABULARY, n_embd=HIDDEN, n_layer=LAYERS, n_head=4, n_positions=512
        ),
        "neox": lambda: t.GPTNeoXConfig(**shape()),
        "gemma2": lambda: t.Gemma2Config(
            **shape(head_dim=8, query_pre_attn_scalar=8, final_logit_softcapping=0.5, sliding_window=8)
        ),
        "granite": lambda: t.GraniteConfig(**shape(logits_scaling=3.0, embedding_multiplier=2.0)),
        "cohere": lambda: t.CohereConfig(**shape(logit_scale=0.25)),
        "phi with two scalings": lambda: t.Phi3Config(
            **shape(
                original_max_position_embeddings=24,
                rope_scaling={"type": "longrope", "short_factor": [1.0] * 4, "long_factor": [8.0] * 4},
            )
        ),
        "recurrent gemma": lambda: t.RecurrentGemmaConfig(
            **shape(num_key_value_heads=1, lru_width=HIDDEN, attention_window_size=8, logits_soft_cap=2.0)
        ),
        "xlm": lambda: t.XLMConfig(vocab_size=VOCABULARY, emb_dim=HIDDEN, n_layers=LAYERS, n_heads=4),
        "bloom": lambda: t.BloomConfig(vocab_size=VOCABULARY, hidden_size=HIDDEN, n_layer=LAYERS, n_head=4),
        "mamba": lambda: t.MambaConfig(**shape(state_size=4)),
    }
    torch.manual_seed(7)
    made = t.AutoModelForCausalLM.from_config(configs[family]())
    for weight in made.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.15)
    return made.eval().requires_grad_(False)


FAMILIES = (
    "llama",
    "llama with grouped heads",
    "qwen",
    "mistral with a window",
    "qwen of experts with a window",
    "llama4 in chunks",
    "gpt2",
    "neox",
    "gemma2",
    "granite",
    "cohere",
    "phi with two scalings",
    "recurrent gemma",
    "bloom",
    "mamba",
)
PACKED = (
    "llama",
    "llama with grouped heads",
    "qwen",
    "mistral with a window",
    "gpt2",
    "neox",
    "granite",
    "phi with two scalings",
)


def loaded(made: Any, dtype: str = "float32") -> LoadedModel:
    card = Card(kind="causal", context=512, hidden=HIDDEN, layers=LAYERS, vocabulary=VOCABULARY)
    mine = copy.deepcopy(made).to(getattr(torch, dtype))
    return LoadedModel(mine, nano_tokenizer(), card, dtype, "cpu", "random")


# Rows


def rows_of(parts: Sequence[tuple[Sequence[int], Sequence[int]] | None]) -> Sequences:
    """Rows of prompt and response ids; `None` is a row with a problem."""
    ids = [[] if part is None else [*part[0], *part[1]] for part in parts]
    said = [[] if part is None else [False] * len(part[0]) + [True] * len(part[1]) for part in parts]
    return Sequences(
        np.array([token for row in ids for token in row], dtype=np.int32),
        np.concatenate([[0], np.cumsum([len(row) for row in ids])]).astype(np.int64),
        np.array([inside for row in said for inside in row], dtype=bool),
        tuple(None if part else "no prompt" for part in parts),
    )


def many() -> Sequences:
    """Long rows and short ones, one token alone, equal rows, shared beginnings, and rows with problems."""
    draws = np.random.default_rng(3)

    def some(count: int) -> list[int]:
        return draws.integers(3, VOCABULARY, count).tolist()

    template, other = some(20), some(12)
    shared = [(template + some(n), some(m)) for n, m in ((3, 9), (1, 1), (5, 9), (3, 9), (0, 4), (7, 30))]
    others = [(other + some(2), some(n)) for n in (3, 5, 8, 5, 6)]
    same = (template + some(2), some(5))
    apart = [([], some(1)), (some(1), []), (some(6), []), ([], some(9)), (some(90), some(140))]
    return rows_of([None, *shared, *others, same, None, same, *apart])


# What a plain forward pass says


def plain(made: Any, rows: Sequences, row: int) -> dict[Want, Any]:
    """The answers to all wants from one forward pass over one row."""
    begin, end = rows.offsets[row], rows.offsets[row + 1]
    ids, said = torch.tensor(rows.ids[begin:end]).long(), rows.response[begin:end]
    with torch.no_grad():
        output = made(ids[None], output_hidden_states=True)
    logs = output.logits[0].double().log_softmax(-1)
    inside = {"response": said, "prompt": ~said, "whole": np.ones_like(said)}
    return {want: plain_answer(want, ids, logs, output.hidden_states, inside) for want in WANTS}


def plain_answer(want: Want, ids: torch.Tensor, logs: torch.Tensor, states: Any, inside: Any) -> Any:
    match want:
        case Logprobs():
            return [float(logs[t - 1, ids[t]]) for t in np.flatnonzero(inside[want.span]) if t]
        case Entropies():
            entropy = -(logs.exp() * logs).sum(-1)
            return [float(entropy[t - 1]) for t in np.flatnonzero(inside[want.span]) if t]
        case NextToken():
            tokens = nano_tokenizer().convert_tokens_to_ids(list(want.candidates))
            return logs[-1, tokens].tolist()
        case Hidden():
            chosen = states[want.layer][0][torch.from_numpy(inside[want.span])].double()
            return plain_pool(chosen, want.pool)
    raise AssertionError(want)


def plain_pool(chosen: torch.Tensor, pool: str) -> list[float] | None:
    if not len(chosen):
        return None
    weights = torch.arange(1.0, len(chosen) + 1).double()
    pooled = {
        "mean": chosen.mean(0),
        "first": chosen[0],
        "last": chosen[-1],
        "position": (weights[:, None] * chosen).sum(0) / weights.sum(),
    }
    return pooled[pool].tolist()


def gathered(blocks: Sequence[Block]) -> dict[int, dict[Want, Any]]:
    """Answers by row."""
    found: dict[int, dict[Want, Any]] = {}
    for block in blocks:
        for want, answers in block.answers.items():
            values = answers.to_list()
            for row, value in zip(block.rows.tolist(), values, strict=True):
                assert want not in found.setdefault(row, {}), "a row is in two blocks"
                found[row][want] = value
    return found


def assert_near(found: dict[int, dict[Want, Any]], made: Any, rows: Sequences, most: float = 1e-5) -> None:
    fine = [row for row, problem in enumerate(rows.problems) if problem is None]
    assert sorted(found) == fine
    for row in fine:
        for want, expected in plain(made, rows, row).items():
            actual = found[row][want]
            if expected is None:
                assert actual is None, (row, want)
                continue
            assert len(actual) == len(expected), (row, want)
            np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=most, err_msg=f"row {row}, {want}")


# The tests


@pytest.mark.parametrize("family", FAMILIES)
def test_every_want_equals_a_plain_pass(family: str) -> None:
    made, rows = network(family), many()
    assert_near(gathered(list(sweep(loaded(made), rows, WANTS))), made, rows)


@pytest.mark.parametrize("family", PACKED)
def test_these_families_are_packed(family: str) -> None:
    model = loaded(network(family))
    list(sweep(model, many(), [Logprobs()]))
    assert str(model.engine).startswith("packed")


@pytest.mark.parametrize("family", ["qwen of experts with a window", "llama4 in chunks", "mamba"])
def test_these_families_are_padded(family: str) -> None:
    model = loaded(network(family))
    list(sweep(model, many(), [Logprobs()]))
    assert str(model.engine).startswith("padded")


def test_a_neighbour_that_shows_faintly_is_no_rounding_in_half_precision() -> None:
    model = loaded(network("recurrent gemma"), "bfloat16")
    list(sweep(model, many(), [Logprobs()]))
    assert str(model.engine).startswith("padded")


def test_a_model_that_looks_ahead_predicts_nothing() -> None:
    with pytest.raises(ModelError, match="looks at the tokens that follow") as raised:
        list(sweep(loaded(network("xlm")), many(), [Logprobs()]))
    assert raised.value.code == "E443"


def test_a_token_that_the_model_has_no_embedding_of_is_an_error() -> None:
    with pytest.raises(ModelError, match="`random` writes token 259, and the model knows 259") as raised:
        list(sweep(loaded(network("llama")), rows_of([([5], [VOCABULARY])]), [Logprobs()]))
    assert raised.value.code == "E436"


def test_a_model_whose_logits_overflow_is_told_to_be_run_in_a_wider_range() -> None:
    model = loaded(network("llama"), "float16")
    model.model.get_output_embeddings().weight[:] = 60_000
    with pytest.raises(ModelError, match="this model's logits are not finite in float16"):
        list(sweep(model, many(), [Logprobs()]))


def test_a_row_whose_numbers_overflow_has_a_reason_and_no_answer() -> None:
    model = loaded(network("llama with grouped heads"), "float16")
    model.model.get_input_embeddings().weight[200] = float("inf")
    rows = rows_of([([5], [6, 7]), ([5, 200, 9], [6, 7]), None])
    wants = [Logprobs(), NextToken(("A",)), Hidden(-1, "mean", "response")]
    (block,) = sweep(model, rows, wants)
    known = {
        int(row): [block.answers[want][at] is not None for want in wants] for at, row in enumerate(block.rows)
    }
    assert known == {0: [True] * 3, 1: [False] * 3}
    assert rows.late == {1: "the model's numbers are not finite in float16"}


@pytest.mark.parametrize("budget", [1, 40, 100, 10_000])
def test_the_budget_does_not_change_an_answer(budget: int) -> None:
    made, rows = network("llama with grouped heads"), many()
    blocks = list(sweep(loaded(made), rows, WANTS, token_budget=budget))
    assert_near(gathered(blocks), made, rows)


def test_a_budget_of_one_token_runs_every_row_alone() -> None:
    rows = many()
    blocks = list(sweep(loaded(network("gpt2")), rows, [NextToken(("A",))], token_budget=1))
    assert all(len(block.rows) == 1 for block in blocks)
    assert sum(block.tokens for block in blocks) == len(rows.ids)


def test_common_beginnings_are_run_once() -> None:
    begin = list(range(50, 90))
    rows = rows_of([([*begin, n, n + 1], [n + 2, n + 3]) for n in range(100, 120)])
    made = network("llama")
    blocks = list(sweep(loaded(made), rows, WANTS))
    assert sum(block.tokens for block in blocks) == len(begin) + 20 * 4
    assert_near(gathered(blocks), made, rows)


def test_nano_answers_as_it_does_alone() -> None:
    rows = many()
    wants = [want for want in WANTS if not isinstance(want, Hidden)]
    found = gathered(list(sweep(load("nano"), rows, wants)))
    for row, answers in found.items():
        expected = plain(nano_model().eval(), rows, row)
        for want in wants:
            np.testing.assert_allclose(answers[want], expected[want], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("wants", [[want] for want in WANTS], ids=str)
def test_one_want_alone_answers_as_among_others(wants: list[Want]) -> None:
    rows = many()
    model = loaded(network("llama"))
    together, alone = gathered(list(sweep(model, rows, WANTS))), gathered(list(sweep(model, rows, wants)))
    assert sorted(together) == sorted(alone)
    for row, answers in alone.items():
        for want, actual in answers.items():
            expected = together[row][want]
            assert (actual is None) == (expected is None)
            if expected is not None:
                np.testing.assert_allclose(actual, expected, atol=1e-5, rtol=1e-5)


def test_no_rows_and_only_rows_with_problems_give_no_block() -> None:
    model = loaded(network("llama"))
    assert not list(sweep(model, rows_of([]), WANTS))
    assert not list(sweep(model, rows_of([None, None]), WANTS))


def test_half_precision_weights_keep_a_softmax_in_float32() -> None:
    rows, want = many(), Logprobs("whole")
    exact = gathered(list(sweep(loaded(network("llama")), rows, [want])))
    rough = gathered(list(sweep(loaded(network("llama"), "bfloat16"), rows, [want])))
    difference = np.concatenate([np.subtract(rough[row][want], exact[row][want]) for row in exact])
    assert 0 < np.abs(difference).max() < 0.2
    # Rounded to bfloat16, numbers near 6 would be multiples of 1/32.
    values = np.concatenate([answers[want] for answers in rough.values()])
    assert np.mean(values * 32 == np.round(values * 32)) < 0.5


def test_logits_that_a_model_changes_in_an_unknown_way_are_refused() -> None:
    made = network("llama")
    ordinary = made.forward

    def changed(*arguments: Any, **options: Any) -> Any:
        output = ordinary(*arguments, **options)
        output.logits = torch.tanh(output.logits)
        return output

    model = loaded(made)
    model.model.forward = changed
    with pytest.raises(ModelError, match="logits") as raised:
        list(sweep(model, many(), [Logprobs()]))
    assert raised.value.code == "E443"


# Memory


class Short:
    """Stands before a model's first layer and runs out of memory above so many tokens."""

    def __init__(self, made: Any, most: int, error: Exception):
        self.most, self.error, self.failures = most, error, 0
        made.get_input_embeddings().register_forward_pre_hook(self)

    def __call__(self, module: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        if inputs[0].numel() > self.most:
            self.failures += 1
            raise self.error


ERRORS = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
    RuntimeError("MPS backend out of memory"),
    MemoryError(),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: f"{type(error).__name__} {error}"[:24])
def test_where_memory_runs_out_smaller_blocks_give_the_same_answers(error: Exception) -> None:
    made, rows = network("llama"), many()
    model = loaded(made)
    list(sweep(model, rows_of([([5], [6])]), [Logprobs()]))
    short = Short(model.model, 235, error)
    assert_near(gathered(list(sweep(model, rows, WANTS, token_budget=10_000))), made, rows)
    assert short.failures


def test_a_row_too_large_for_memory_is_named_by_its_tokens() -> None:
    model = loaded(network("llama"))
    list(sweep(model, rows_of([([5], [6])]), [Logprobs()]))
    Short(model.model, 100, ERRORS[0])
    with pytest.raises(ModelError, match="a row of 230 tokens does not fit into memory") as raised:
        list(sweep(model, many(), [NextToken(("A",))]))
    assert raised.value.code == "E441"


def test_a_model_that_does_not_fit_into_memory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any) -> None:
        raise ERRORS[0]

    monkeypatch.setattr(sweeping, "resident", refuse)
    with pytest.raises(ModelError, match="`nano` does not fit into the memory of cuda in float32") as raised:
        sweeping.loaded(ModelSource("nano", "nano", "nano"), "float32", "cuda")
    assert raised.value.code == "E441"


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    model = loaded(network("llama"))
    list(sweep(model, rows_of([([5], [6])]), [Logprobs()]))
    Short(model.model, 0, RuntimeError("index out of range"))
    with pytest.raises(RuntimeError, match="index out of range"):
        list(sweep(model, many(), [Logprobs()]))


# Sentence encoders


def encoder_configs() -> dict[str, Any]:
    """Encoders that number tokens, look around and pool in different ways, each with how its rows are run."""
    import transformers as t

    gemma = {
        "head_dim": 8,
        "query_pre_attn_scalar": 8,
        "sliding_window": 27,
        "use_bidirectional_attention": True,
    }
    layers = ["sliding_attention", "full_attention", "sliding_attention"]
    narrow = {"embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16}
    return {
        "bert": (t.BertConfig(**shape(num_hidden_layers=2)), "packed"),
        "roberta": (t.RobertaConfig(**shape(pad_token_id=1)), "packed"),
        "modernbert": (
            t.ModernBertConfig(**shape(local_attention=28, global_attn_every_n_layers=2)),
            "packed",
        ),
        "gemma3 both ways": (t.Gemma3TextConfig(**shape(**gemma, layer_types=layers)), "packed"),
        "qwen3": (t.Qwen3Config(**shape(head_dim=8)), "packed"),
        "mobilebert": (t.MobileBertConfig(**shape(**narrow)), "single"),
    }


@functools.cache
def sentence_encoder(family: str) -> LoadedModel:
    """A random encoder with mean pooling and normalisation."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Normalize, Pooling, Transformer
    from transformers import AutoModel

    torch.manual_seed(1)
    network = AutoModel.from_config(encoder_configs()[family][0])
    for weight in network.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.2)
    with tempfile.TemporaryDirectory() as folder:
        network.save_pretrained(folder)
        nano_tokenizer().save_pretrained(folder)
        body = Transformer(folder)
    made = SentenceTransformer(modules=[body, Pooling(HIDDEN, "mean"), Normalize()], device="cpu")
    card = Card(kind="encoder", context=512, hidden=HIDDEN)
    return LoadedModel(made.eval().requires_grad_(False), made.tokenizer, card, "float32", "cpu", "random")


@pytest.fixture(scope="module")
def encoder() -> LoadedModel:
    return sentence_encoder("bert")


@pytest.mark.parametrize("family", encoder_configs())
def test_vectors_do_not_depend_on_what_rows_are_run_with(family: str) -> None:
    model, rows = copy.deepcopy(sentence_encoder(family)), many()
    own = copy.deepcopy(model.model)
    rows.ids[rows.offsets[2] + 5] = own[0].auto_model.config.pad_token_id
    found = gathered(list(sweep(model, rows, [Embedding()])))
    assert str(model.engine).split()[0] == encoder_configs()[family][1]
    for row, answers in found.items():
        ids = torch.tensor(rows.ids[rows.offsets[row] : rows.offsets[row + 1]]).long()[None]
        with torch.no_grad():
            expected = own({"input_ids": ids, "attention_mask": torch.ones_like(ids)})["sentence_embedding"][
                0
            ]
        np.testing.assert_allclose(answers[Embedding()], expected.numpy(), atol=1e-5)


def test_embeddings_are_the_encoders_own(encoder: LoadedModel) -> None:
    rows = many()
    own = copy.deepcopy(encoder.model)
    found = gathered(list(sweep(encoder, rows, [Embedding()], token_budget=100)))
    assert len(found) == sum(problem is None for problem in rows.problems)
    for row, answers in found.items():
        ids = torch.tensor(rows.ids[rows.offsets[row] : rows.offsets[row + 1]]).long()[None]
        expected = own({"input_ids": ids, "attention_mask": torch.ones_like(ids)})["sentence_embedding"][0]
        np.testing.assert_allclose(answers[Embedding()], expected.numpy(), atol=1e-5)


def test_embeddings_are_arrays(encoder: LoadedModel) -> None:
    block = next(iter(sweep(encoder, many(), [Embedding()])))
    assert block.answers[Embedding()].dtype == pl.Array(pl.Float32, HIDDEN)


def test_an_encoder_refuses_what_it_cannot_answer(encoder: LoadedModel) -> None:
    with pytest.raises(ModelError, match="sentence encoder") as raised:
        list(sweep(encoder, many(), [Logprobs()]))
    assert raised.value.code == "E442"
