"""Images and captions are as alike as plain CLIP says; an image that cannot be read is one row without a value."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from headed_models import saved_clip
from selrun.errors import ModelError
from selrun.runtime.models import load
from selrun.runtime.rows import read_rows
from selrun.runtime.run import Run, execute
from selrun.runtime.settings import Settings

RECIPE = "score clip using m as found"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("PIL", reason="pillow is not installed")
    return saved_clip(tmp_path_factory.mktemp("clip") / "model")


@pytest.fixture(scope="module")
def pictures(model: Path) -> Path:
    """A red, a green and a tall grey image, a broken one, and half of one."""
    from PIL import Image

    folder = model.parent / "pictures"
    folder.mkdir()
    for name, size, colour in (
        ("red.png", (20, 20), (200, 0, 0)),
        ("green.png", (30, 20), (0, 200, 9)),
        ("tall.jpg", (40, 90), (90, 90, 90)),
    ):
        Image.new("RGB", size, colour).save(folder / name)
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "half.jpg").write_bytes((folder / "tall.jpg").read_bytes()[:300])
    return folder


def row(caption: str, *images: str) -> dict[str, Any]:
    return {"instruction": "Describe the image.", "output": caption, "images": list(images)}


def run(model: Path, pictures: Path, tmp_path: Path, rows: list[dict[str, Any]], recipe: str = RECIPE) -> Run:
    (tmp_path / "rows.json").write_text(json.dumps(rows), "utf-8")
    settings = Settings(
        data=tmp_path / "rows.json", models={"m": str(model)}, store=tmp_path / "store", write=False
    )
    return execute([("r.sel", f'{recipe} with folder = "{pictures}"')], settings)


def plain(model: Path, pictures: Path, rows: list[dict[str, Any]]) -> list[float]:
    """The mean cosine over the images of each row, one at a time."""
    from PIL import Image
    from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

    network = CLIPModel.from_pretrained(model).eval()
    tokenizer, processor = AutoTokenizer.from_pretrained(model), CLIPImageProcessorPil.from_pretrained(model)
    found = []
    for each in rows:
        text = tokenizer(each["output"], return_tensors="pt", truncation=True, max_length=20)
        cosines = []
        for name in each["images"]:
            pixels = processor(images=Image.open(pictures / name).convert("RGB"), return_tensors="pt")
            with torch.no_grad():
                output = network(**text, **pixels)
            cosines.append(float(torch.cosine_similarity(output.image_embeds, output.text_embeds)[0]))
        found.append(sum(cosines) / len(cosines))
    return found


def test_likeness_is_plain_clips(model: Path, pictures: Path, tmp_path: Path) -> None:
    rows = [
        row("a red square", "red.png"),
        row("grass", "green.png", "tall.jpg"),
        row("a caption that is much longer than twenty tokens", "tall.jpg"),
    ]
    found = run(model, pictures, tmp_path, rows).rows["found"].to_list()
    assert found == pytest.approx(plain(model, pictures, rows), abs=1e-5)


def test_an_unreadable_image_is_one_row_without_a_value_and_a_reason(
    model: Path, pictures: Path, tmp_path: Path
) -> None:
    rows = [
        row("red", "red.png"),
        row("gone", "gone.png"),
        row("broken", "red.png", "broken.png"),
        row("half", "half.jpg"),
        row("none"),
        row("", "red.png"),
    ]
    done = run(model, pictures, tmp_path, rows)
    assert [value is None for value in done.rows["found"]] == [False, True, True, True, True, True]
    (step,) = [step for step in done.manifest["steps"] if step["kind"] == "score"]
    reasons = sorted(step["notes"]["no value"])
    assert [reason.partition(f"{pictures}")[0] for reason in reasons] == [
        "no image",
        "no image is at ",
        "no response",
        "the image ",
        "the image ",
    ]


def test_equal_captions_of_other_images_are_other_rows(tmp_path: Path) -> None:
    rows = [{"instruction": "a", "output": "b", "image": name} for name in ("one.png", "two.png")]
    frame = read_rows(rows).frame
    assert frame["@key"].n_unique() == 2
    assert frame["@images"].to_list() == [["one.png"], ["two.png"]]


def test_paths_are_found_in_every_form_of_the_column() -> None:
    forms = ["a.png", ["a.png", "b.png"], [{"path": "a.png", "bytes": None}], None, []]
    rows = [{"instruction": "a", "output": "b", "images": form} for form in forms]
    assert read_rows(rows).frame["@images"].to_list() == [
        ["a.png"],
        ["a.png", "b.png"],
        ["a.png"],
        None,
        None,
    ]
    assert "@images" not in read_rows(pl.DataFrame({"instruction": ["a"], "output": ["b"]})).frame.columns


def test_pillow_is_asked_for_by_name(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name == "PIL":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ModelError) as raised:
        load(str(model))
    assert (raised.value.code, raised.value.help) == ("E568", ('install it: `pip install "selrun[images]"`',))
