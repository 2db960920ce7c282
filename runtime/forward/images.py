"""Images and captions in one space: how alike a row's are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import polars as pl
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ...compiler.wants import Likeness, Want
from ...errors import ModelError
from .engine import Asked, Engine
from .gemm import speed_up
from .packing import Pack
from .padding import padded

if TYPE_CHECKING:
    from ..models import LoadedModel
    from ..tokens import Sequences


class Eyes(nn.Module):
    """A CLIP model with the processor that its files describe."""

    def __init__(self, network: Any, folder: str):
        super().__init__()
        self.network = network
        self.config = network.config
        self.processor = processor_of(folder)

    @property
    def dtype(self) -> torch.dtype:
        return self.network.dtype

    def seen(self, pictures: Sequence[Any]) -> Tensor:
        """`[images, d]`, of unit length."""
        pixels = self.processor(images=list(pictures), return_tensors="pt")["pixel_values"]
        weight = next(self.network.parameters())
        return normalize(feature(self.network.get_image_features(pixels.to(weight.device, weight.dtype))))

    def read(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """`[captions, d]`, of unit length."""
        return normalize(feature(self.network.get_text_features(**inputs)))


def feature(output: Any) -> Tensor:
    """The projected vector, however transformers wraps it."""
    return output if isinstance(output, Tensor) else output.pooler_output


def processor_of(folder: str) -> Any:
    """What turns an image into the model's numbers. Raises ModelError E568 without Pillow, E436 without its file."""
    try:
        import PIL  # noqa: F401
    except ImportError:
        raise ModelError(
            "E568", "images cannot be read: the package pillow is not installed",
            help='install it: `pip install "selrun[images]"`',
        ) from None  # fmt: skip
    from transformers import CLIPImageProcessorPil

    try:
        return CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelError(
            "E436", f"the image processor of the model does not load: {error}",
            help="copy preprocessor_config.json into the model's folder",
        ) from None  # fmt: skip


@dataclass
class EyesAndWords(Engine):
    """A CLIP model, asked how alike the images and captions of rows are."""

    noun: ClassVar[str] = "a model of images and captions"
    wants: ClassVar = (Likeness,)

    eyes: Eyes
    device: str
    products: str

    @classmethod
    def of(cls, model: LoadedModel) -> Self:
        eyes: Any = model.model
        return cls(eyes, model.device, speed_up(eyes))

    def ask(self, model: LoadedModel, sequences: Sequences, wants: Sequence[Want]) -> Asked:
        def answer(pack: Pack) -> Mapping[Want, pl.Series]:
            return dict.fromkeys(
                wants, self.likeness(pack, [pictures(sequences, row) for row in pack.rows.tolist()])
            )

        return Asked(sequences.lengths, answer)

    def likeness(self, pack: Pack, pictures: Sequence[list[Any]]) -> pl.Series:
        """`Float32`, the mean over the images of each row; null for a row that shows none."""
        found: list[float | None] = [None] * len(pictures)
        shown = [at for at, several in enumerate(pictures) if several]
        if shown:
            for at, value in zip(
                shown, self.likenesses(pack, pictures, shown).float().cpu().tolist(), strict=True
            ):
                found[at] = value
        return pl.Series("answer", found, dtype=pl.Float32)

    def likenesses(self, pack: Pack, pictures: Sequence[list[Any]], shown: Sequence[int]) -> Tensor:
        """`[shown]`, the mean cosine over the images of each row."""
        captions = self.eyes.read(padded([pack.ids[pack.slots[at]] for at in shown], self.pad, self.device))
        images = self.eyes.seen([picture for at in shown for picture in pictures[at]])
        counts = torch.tensor([len(pictures[at]) for at in shown], device=images.device)
        products = (images * captions.repeat_interleave(counts, dim=0)).sum(-1)
        owners = torch.arange(len(shown), device=images.device).repeat_interleave(counts)
        return products.new_zeros(len(shown)).index_add(0, owners, products) / counts

    @property
    def pad(self) -> int:
        """What stands after a caption; the mask hides it, and CLIP looks for the end by its first place."""
        return int(self.eyes.config.text_config.eos_token_id or 0)


def pictures(sequences: Sequences, row: int) -> list[Any]:
    """The row's images; none, and a reason, where one of them cannot be read."""
    assert sequences.images is not None
    try:
        found = [opened(path) for path in sequences.images[row]]
    except UnreadableImage as unreadable:
        sequences.late[row] = str(unreadable)
        return []
    if not found:
        sequences.late[row] = "no image"
    return found


class UnreadableImage(Exception):
    """A row's image that is missing or broken."""


def opened(path: str) -> Any:
    """The decoded image. Raises UnreadableImage."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except FileNotFoundError:
        raise UnreadableImage(f"no image is at {path}") from None
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UnreadableImage(f"the image {path} cannot be read: {reason}") from None
