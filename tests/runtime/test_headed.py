"""Rows through models with heads have the numbers that plain transformers gives each row alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from headed_models import (
    CLASSIFIERS,
    ranked,
    saved_classifier,
    saved_encoder_decoder,
    saved_ranker,
    without,
)
from safetensors.torch import load_file, save_file
from selrun.errors import ModelError, RecipeError
from selrun.runtime.forward import heads, prepared_engine
from selrun.runtime.models import describe, load
from selrun.runtime.run import execute
from selrun.runtime.settings import Settings
from selrun.runtime.survey import explain

ROWS = [
    {"instruction": "Name a hill.", "input": "", "output": "Snowdon."},
    {"instruction": "Add them.", "input": "2 and 3", "output": "Five, or 5 in digits; " * 4},
    {"instruction": "Name a hill.", "input": "", "output": ""},
    {"instruction": "Go on.", "input": "", "output": "No.", "history": [["Hello?", "Hello."]]},
    {"instruction": "Straße?", "input": "", "output": "Ja. " * 40},
]
EMPTY = 2
Made = Callable[..., Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Makes each model once."""
    folder, known = tmp_path_factory.mktemp("headed"), {}

    def make(save: Callable[..., Path], *given: Any, **options: Any) -> Path:
        key = repr((save.__name__, given, options))
        if key not in known:
            known[key] = save(folder / str(len(known)), *given, **options)
        return known[key]

    return make


@pytest.fixture
def scored(tmp_path: Path) -> Callable[..., list[Any]]:
    """The column `found` of a recipe over the rows."""

    def run(recipe: str, model: Path, rows: list[dict[str, Any]] = ROWS) -> list[Any]:
        return execute([("recipe.sel", recipe)], settings(tmp_path, model, rows)).rows["found"].to_list()

    return run


def settings(folder: Path, model: Path, rows: list[dict[str, Any]] = ROWS) -> Settings:
    (folder / "rows.json").write_text(json.dumps(rows), "utf-8")
    return Settings(data=folder / "rows.json", models={"m": str(model)}, store=folder / "store", write=False)


def tokens(model: Path, *texts: str, limit: int = 10_000) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    return tokenizer(
        *texts, return_tensors="pt", truncation="only_second" if texts[1:] else True, max_length=limit
    )


def question(row: dict[str, Any]) -> str:
    turns = [text for turn in row.get("history", ()) for text in turn]
    return "\n".join([*turns, row["instruction"], *([row["input"]] if row["input"] else [])])


def answered(network: Any, inputs: Any) -> list[float]:
    with torch.no_grad():
        return network.eval()(**inputs).logits[0].tolist()


def plain(model: Path) -> Any:
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(model)


# Reward models


@pytest.mark.parametrize("family", ["bert", "deberta"])
def test_a_pair_of_texts_has_the_models_own_reward(made: Made, scored: Any, family: str) -> None:
    model = made(saved_classifier, family)
    limit = 130 if family == "bert" else 10_000
    network = plain(model)
    expected = [
        answered(network, tokens(model, question(row), row["output"], limit=limit))[0]
        if row["output"]
        else None
        for row in ROWS
    ]
    assert scored("score reward using m as found", model) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_chat_model_reads_the_closed_conversation(made: Made, scored: Any, family: str) -> None:
    model = made(saved_classifier, family)
    network, found = plain(model), scored("score reward using m as found", model)
    expected = [answered(network, conversation(model, row))[0] if row["output"] else None for row in ROWS[:4]]
    assert found[:4] == pytest.approx(expected, abs=1e-5)
    assert load(str(model)).card.chat


def conversation(model: Path, row: dict[str, Any]) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    turns = [{"role": role, "content": text} for turn in row.get("history", ()) for role, text in said(turn)]
    turns += [
        {"role": role, "content": text}
        for role, text in said([question({**row, "history": []}), row["output"]])
    ]
    ids = tokenizer.apply_chat_template(turns, tokenize=True, return_dict=True)["input_ids"]
    return {"input_ids": torch.tensor([ids])}


def said(turn: list[str]) -> list[tuple[str, str]]:
    return list(zip(("user", "assistant"), turn, strict=True))


def test_a_conversation_that_is_too_long_loses_the_end_of_its_response(made: Made, scored: Any) -> None:
    model = made(saved_classifier, "llama")
    short = [{**ROWS[0], "output": "a" * 40}, {**ROWS[0], "output": "a" * 60}]
    whole = len(conversation(model, short[0])["input_ids"][0])
    found = scored(f"score reward using m as found with max_tokens = {whole}", model, short)
    assert found[0] == pytest.approx(found[1], abs=1e-6)


def test_a_prompt_that_fills_the_window_leaves_no_reward(made: Made, scored: Any) -> None:
    row = {"instruction": "x" * 200, "input": "", "output": "Yes."}
    assert scored("score reward using m as found", made(saved_classifier, "bert"), [row]) == [None]
    assert scored("score reward using m as found", made(saved_classifier, "llama"), [row]) == [None]


def test_a_model_without_a_chat_template_is_not_asked_for_one(made: Made, scored: Any) -> None:
    with pytest.raises(ModelError) as raised:
        scored("score reward using m as found with form = chat", made(saved_classifier, "bert"))
    assert raised.value.code == "E444"


def test_a_head_of_several_numbers_must_be_told_which(made: Made, scored: Any) -> None:
    model = made(saved_classifier, "bert", 3, names=("low", "middle", "high"))
    with pytest.raises(ModelError) as raised:
        scored("score reward using m as found", model)
    assert (raised.value.code, raised.value.help[0]) == (
        "E457",
        "say which with `label`: 0 (low), 1 (middle), 2 (high)",
    )
    with pytest.raises(ModelError) as raised:
        scored("score classifier(hihg) using m as found", model)
    assert (raised.value.code, raised.value.headline) == ("E458", "the model's head has no label hihg")


def test_a_model_without_a_head_is_refused_before_anything_runs(scored: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("not read")
    with pytest.raises(RecipeError) as raised:
        execute([("r.sel", "score reward using nano")], settings(tmp_path, Path("nano")))
    found = raised.value.diagnostics[0]
    assert (found.code, found.headline) == ("E434", "`nano` is a causal language model")
    assert found.help == ("name a model with a classification head",)


# Classifiers


@pytest.mark.parametrize("family", list(CLASSIFIERS))
def test_labels_are_named_or_counted(made: Made, scored: Any, family: str) -> None:
    names = ("low", "middle", "high")
    model = made(saved_classifier, family, 3, names=names)
    logits = [
        answered(plain(model), tokens(model, f"{question(row)}\n{row['output']}", limit=130)) for row in ROWS
    ]
    rows = [None if at == EMPTY else torch.tensor(row, dtype=torch.float64) for at, row in enumerate(logits)]
    for recipe, read in (
        ("classifier(high) using m", lambda row: row[2]),
        ("classifier(1) using m", lambda row: row[1]),
        ("classifier(low) using m with value = probability", lambda row: row.softmax(0)[0]),
        ("classifier using m with value = expected", lambda row: row.softmax(0) @ torch.arange(3.0).double()),
    ):
        if family == "deberta" and recipe != "classifier(high) using m":
            continue
        expected = [None if row is None else float(read(row)) for row in rows]
        if family == "deberta":  # its window has no end
            expected[4] = scored(f"score {recipe} as found", model)[4]
        assert scored(
            f"score {recipe.replace(' with', ' as found with')}{'' if 'with' in recipe else ' as found'}",
            model,
        ) == (pytest.approx(expected, abs=1e-5))


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_a_long_text_is_read_in_chunks(
    made: Made, scored: Any, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = made(saved_classifier, family)
    network = plain(model)
    ids = tokens(model, f"{question(ROWS[4])}\n{ROWS[4]['output']}")["input_ids"][0]
    assert len(ids) > 130
    parts = [answered(network, {"input_ids": part[None]})[0] * len(part) for part in ids.split(50)]
    found = scored("score classifier using m as found with chunk = 50", model)
    assert found[4] == pytest.approx(sum(parts) / len(ids), abs=1e-5)
    monkeypatch.setattr(heads, "CHUNK_TOKENS", 60)
    one_by_one = scored("score classifier(0) using m as found with chunk = 50", model)
    assert one_by_one == pytest.approx(found, abs=1e-5)


# Encoder-decoders and rankers


def test_an_encoder_decoder_says_yes_or_no(made: Made, scored: Any) -> None:
    from transformers import AutoModelForSeq2SeqLM

    model = made(saved_encoder_decoder)
    network = AutoModelForSeq2SeqLM.from_pretrained(model).eval()
    expected = []
    for row in ROWS:
        text = f"question: Is this a natural response in the dialogue? </s> response: {row['output']}"
        with torch.no_grad():
            logits = network(**tokens(model, text), decoder_input_ids=torch.tensor([[0]])).logits[0, 0]
        expected.append(float(logits[[3, 4]].softmax(0)[0]) if row["output"] else None)
    assert scored("score unieval(naturalness) using m as found", model) == pytest.approx(expected, abs=1e-5)


def test_an_answer_needs_its_first_token_and_words_of_one_token(
    made: Made, scored: Any, tmp_path: Path
) -> None:
    model = without(saved_encoder_decoder(tmp_path / "t5"), "decoder_start_token_id")
    path = model / "generation_config.json"
    path.unlink(missing_ok=True)
    with pytest.raises(ModelError) as raised:
        scored("score unieval(naturalness) using m as found", model)
    assert raised.value.code == "E456"


def test_an_answer_is_one_word_of_the_model(scored: Any, tmp_path: Path) -> None:
    model = saved_encoder_decoder(tmp_path / "answers")
    tokenizer = model / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text("utf-8").replace('"Yes"', '"Si"'), "utf-8")
    with pytest.raises(ModelError) as raised:
        scored("score unieval(naturalness) using m as found", model)
    assert (raised.value.code, raised.value.headline) == ("E440", f"'Yes' is no word of `{model}`")


def test_a_ranker_mixes_all_layers(made: Made, scored: Any) -> None:
    from transformers import AutoModel

    model = made(saved_ranker)
    body, head = AutoModel.from_pretrained(model).eval(), load_file(model / "head.safetensors")
    expected = [
        ranked(body, head, tokens(model, shown(row), limit=128)) if row["output"] else None for row in ROWS
    ]
    assert scored("score iqs using m as found", model) == pytest.approx(expected, abs=1e-5)


def shown(row: dict[str, Any]) -> str:
    instruction = question({**row, "input": ""})
    return f"Instruction: {instruction} Input: {row['input']} Response: {row['output']}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda head: head.pop("layerwise_attention.gamma"), "it has no `layerwise_attention.gamma`"),
        (
            lambda head: head.update({"layerwise_attention.scalar_parameters.3": torch.zeros(1)}),
            "it mixes 4 layers, and the encoder has 3 with its embedding",
        ),
        (lambda head: head.pop("estimator.ff.3.weight"), "its layers do not fit each other"),
    ],
)
def test_a_head_of_another_encoder_is_refused(tmp_path: Path, change: Callable[..., Any], said: str) -> None:
    model = saved_ranker(tmp_path / "ranker")
    head = load_file(model / "head.safetensors")
    change(head)
    save_file(head, model / "head.safetensors")
    with pytest.raises(ModelError) as raised:
        load(str(model))
    assert raised.value.code == "E459"
    assert raised.value.headline.endswith(said)


# Sweeps


def test_scores_of_one_head_share_a_pass_and_are_kept(made: Made, tmp_path: Path) -> None:
    model = made(saved_classifier, "bert", 3, names=("low", "middle", "high"))
    given = settings(tmp_path, model)
    recipe = "score classifier(low) using m as low | score classifier(high) using m as high"
    assert "sweep text with m" in explain([("r.sel", recipe)], given).text
    assert len(execute([("r.sel", recipe)], given).manifest["sweeps"]) == 1
    again = execute([("r.sel", recipe)], given)
    assert [sweep["rows"] for sweep in again.manifest["sweeps"]] == [0]


def test_an_adapter_is_not_left_out_without_a_word(made: Made, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as raised:
        load(str(made(saved_classifier, "llama")), adapter=str(tmp_path))
    assert raised.value.code == "E437"


def test_what_can_be_packed_is(made: Made) -> None:
    models = [made(saved_classifier, family) for family in ("llama", "gpt2", "bert")] + [made(saved_ranker)]
    engines = [str(prepared_engine(load(str(model)))).split()[0] for model in models]
    assert engines == ["packed", "packed", "padded", "packed"]


def test_models_that_see_only_distances_have_no_window(made: Made) -> None:
    windows = [describe(str(made(saved_classifier, family))).context for family in ("deberta", "bert")]
    assert [*windows, describe(str(made(saved_encoder_decoder))).context] == [None, 130, None]


@pytest.mark.parametrize(
    ("label", "names", "place"),
    [
        (1, ("1", "2", "3"), 1), ("1", ("1", "2", "3"), 0), ("2", ("a", "b", "c"), 2),
        ("two words", ("a", "two words", "c"), 1), (2, ("a", "b", "a"), 2),
    ],
)  # fmt: skip
def test_a_number_is_the_place_of_a_label_and_a_text_its_name(
    label: int | str, names: tuple[str, ...], place: int
) -> None:
    assert heads.place(label, names) == place


@pytest.mark.parametrize(
    ("label", "fact"),
    [("a", "2 labels called a"), (3, "no label 3"), (-1, "no label -1"), ("d", "no label d")],
)
def test_a_label_that_is_none_or_two_is_refused(label: int | str, fact: str) -> None:
    with pytest.raises(ModelError) as raised:
        heads.place(label, ("a", "b", "a"))
    assert raised.value.headline == f"the model's head has {fact}"
    assert raised.value.help == ("its labels are 0 (a), 1 (b), 2 (a)",)


def test_the_configuration_says_whether_labels_exclude_each_other(tmp_path: Path, scored: Any) -> None:
    model = saved_classifier(tmp_path / "model", "bert", 3)
    path = model / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"problem_type": "multi_label_classification"}))
    expected = [
        torch.tensor(answered(plain(model), tokens(model, f"{question(row)}\n{row['output']}", limit=130)))
        for row in ROWS
    ]
    each = [None if at == EMPTY else float(row.double().sigmoid()[1]) for at, row in enumerate(expected)]
    recipe = "score classifier(1) using m as found with value = probability"
    assert scored(recipe, model) == pytest.approx(each, abs=1e-6)


@pytest.mark.parametrize(("written", "chat"), [("null", False), ('""', False), ('"{{ messages }}"', True)])
def test_a_chat_template_that_is_nothing_is_none(tmp_path: Path, written: str, chat: bool) -> None:
    model = saved_classifier(tmp_path, "bert")
    (model / "tokenizer_config.json").write_text(f'{{"chat_template": {written}}}')
    assert describe(str(model)).chat == chat


def test_plans_say_what_a_head_reads(made: Made, tmp_path: Path) -> None:
    pair, chat = made(saved_classifier, "bert"), made(saved_classifier, "llama")
    for model, shown in ((pair, "prompt + response as a pair"), (chat, "conversation in the chat template")):
        plan = explain([("r.sel", "score reward using m")], settings(tmp_path, model)).text
        assert f"sweep {shown} with m" in plan
        assert "the head's numbers" in plan
