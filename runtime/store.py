"""The content-addressed store: one folder per pass, one Parquet segment per finished shard.

A segment's existence is the only sign that its shard is done. Its name tells when it was written, how many
rows it has and the checksum of its bytes, so that listing opens nothing and nothing damaged is believed.
"""

from __future__ import annotations

import io
import os
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from ..errors import StoreError
from . import durable
from .artefacts import Artefacts
from .events import Listener, Warned, ignore
from .memos import Memos
from .passes import PassMeta, from_stored, pass_key, stored_text

__all__ = ["PassInfo", "PassMeta", "Store", "default_root", "pass_key"]

VERSION = 1
COLUMNS = ("key", "answer", "problem")
MANY = 200
"""Segments of one pass above which the small ones are united."""
LARGE = 256 << 20
"""Bytes up to which segments are united."""
PATIENCE = tuple(min(0.25, 0.001 * 2**at) for at in range(20))
"""Seconds to wait, look by look, while another run removes the segments that it has united: three in all."""

_NOTHING = pl.DataFrame(schema={"key": pl.String, "answer": pl.Null, "problem": pl.String})

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One finished shard of a pass; the earlier segment answers where two hold the same key."""

    written: int
    token: str
    rows: int
    checksum: str
    path: Path

    @classmethod
    def of(cls, path: Path) -> Segment | None:
        """The segment that the file's name describes, if it is one."""
        parts = path.name.removesuffix(".parquet").split("-")
        if path.suffix != ".parquet" or len(parts) != 4:
            return None
        try:
            return cls(int(parts[0], 16), parts[1], int(parts[2]), parts[3], path)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class PassInfo:
    """What the store holds of one pass; `meta` is `None` where its description is lost."""

    passkey: str
    meta: PassMeta | None
    rows: int
    segments: int
    bytes: int
    used: float
    """When it was last read or written, in seconds since 1970."""


def default_root() -> Path:
    """`SELRUN_STORE`, or selrun's folder under the user's cache folder."""
    if chosen := os.environ.get("SELRUN_STORE"):
        return Path(chosen).expanduser()
    return _user_cache() / "selrun" / "store"


def _user_cache() -> Path:
    import sys

    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


class Store:
    """Answers of passes, trained models and small facts in one folder; safe with several runs at once.

    It can be sent to another process, which then opens the same folder and listens to nothing.
    """

    def __init__(self, root: Path | str, listen: Listener = ignore):
        self.root = Path(root)
        self._listen = listen
        self._trusted: set[Path] = set()
        _claim(self.root)
        self.artefacts = Artefacts(self.root / "artefacts", listen)
        self.memos = Memos(self.root / "memos")

    def __reduce__(self):
        return Store, (self.root,)

    def missing(self, passkey: str, keys: pl.Series) -> pl.Series:
        """The keys that the pass has no answer for, each once, in their order."""
        known = self._steadily(passkey, _keys)
        unknown = keys.to_frame("key").join(known, on="key", how="anti", maintain_order="left")
        return unknown["key"].unique(maintain_order=True)

    def read(self, passkey: str, keys: pl.Series) -> pl.DataFrame:
        """`key, answer, problem` for each of the keys, in their order; KeyError where the pass lacks one."""
        found = self._steadily(passkey, lambda segments: _rows(segments, keys))
        if lost := found["key"].null_count():
            raise KeyError(f"{lost} of {len(keys)} keys have no answer in pass {passkey}")
        self._mark_used(passkey)
        return found

    def write(self, passkey: str, segment: pl.DataFrame, meta: PassMeta) -> None:
        """The rows are answers of the pass, on disk, when this returns; no rows write nothing."""
        if tuple(segment.columns) != COLUMNS:
            raise ValueError(f"a segment has the columns {COLUMNS}, not {tuple(segment.columns)}")
        if segment.is_empty():
            return
        self._describe(passkey, meta)
        _write_segment(self._folder(passkey), segment, time.time_ns())
        if len(os.listdir(self._folder(passkey))) > MANY:
            self.compact(passkey)

    def compact(self, passkey: str) -> None:
        """The small segments of the pass are united; readers and writers may go on meanwhile."""
        small = _within(self._segments(passkey), LARGE)
        if len(small) < 2:
            return
        try:
            united = pl.concat([pl.read_parquet(each.path) for each in small], how="vertical_relaxed")
        except FileNotFoundError:  # another process has just united them
            return
        once = united.unique("key", keep="first", maintain_order=True)
        _write_segment(self._folder(passkey), once, small[0].written)
        for each in small:
            each.path.unlink(missing_ok=True)

    def passes(self) -> list[PassInfo]:
        """Every pass that the store holds answers of, the most recently used first."""
        infos = [self.info(folder.name) for folder in _folders(self.root / "passes")]
        return sorted(infos, key=lambda info: (-info.used, info.passkey))

    def info(self, passkey: str) -> PassInfo:
        """What the store holds of one pass."""
        folder = self._folder(passkey)
        segments = _listing(folder)
        rows = sum(each.rows for each in segments)
        size = sum(durable.size_of(each.path) for each in segments)
        return PassInfo(passkey, _meta_of(folder), rows, len(segments), size, _last_use(folder))

    def verify(self) -> list[Path]:
        """The damaged segments and artefacts, now set aside, after reading every byte."""
        self._trusted.clear()
        damaged = [path for info in self.passes() for path in self._set_damaged_aside(info.passkey)]
        return damaged + self.artefacts.verify()

    def remove(self, passkey: str) -> int:
        """The bytes freed by forgetting one pass."""
        return durable.remove(self._folder(passkey))

    def sweep(self) -> int:
        """The bytes freed by removing what killed runs left unfinished and what was set aside as damaged."""
        parts = ("memos", "artefacts", "passes")
        places = [self.root, *(folder for part in parts for folder in _folders(self.root / part))]
        leftovers = [path for place in places for path in durable.abandoned(place)]
        damaged = [path for place in places for path in place.glob("*.damaged")]
        return sum(durable.remove(path) for path in leftovers + damaged)

    def artefact(self, kind: str, key: str) -> Path | None:
        """The folder of a published artefact."""
        return self.artefacts.find(kind, key)

    def publish(self, kind: str, key: str, fill: Callable[[Path], None], meta: dict[str, Any]) -> Path:
        """The folder that holds what `fill` put into it, or what another run had published first."""
        return self.artefacts.publish(kind, key, fill, meta)

    def memo(self, kind: str, key: str) -> Any | None:
        """What was remembered under the key, if anything."""
        return self.memos.recall(kind, key)

    def remember(self, kind: str, key: str, value: Any) -> None:
        """The value, anything that JSON holds, is found by later runs."""
        self.memos.remember(kind, key, value)

    def _folder(self, passkey: str) -> Path:
        return self.root / "passes" / passkey

    def _describe(self, passkey: str, meta: PassMeta) -> None:
        folder = self._folder(passkey)
        durable.make_folder(folder)
        if _meta_of(folder) is None:
            durable.write_whole(folder / "pass.json", stored_text(meta).encode())

    def _mark_used(self, passkey: str) -> None:
        try:
            os.utime(self._folder(passkey) / "pass.json")
        except OSError:  # a store that can only be read is still useful
            return

    def _segments(self, passkey: str) -> list[Segment]:
        self._set_damaged_aside(passkey)
        return _listing(self._folder(passkey))

    def _set_damaged_aside(self, passkey: str) -> list[Path]:
        return [each.path for each in _listing(self._folder(passkey)) if not self._trust(each)]

    def _trust(self, segment: Segment) -> bool:
        if segment.path in self._trusted:
            return True
        try:
            sound = durable.checksum(segment.path) == segment.checksum
        except FileNotFoundError:
            return True
        if sound:
            self._trusted.add(segment.path)
            return True
        return self._set_aside(segment)

    def _set_aside(self, segment: Segment) -> bool:
        try:
            segment.path.rename(segment.path.with_suffix(".damaged"))
        except FileNotFoundError:
            return False
        except OSError as error:
            raise durable.unwritable(segment.path, error) from error
        text = f"a stored segment is damaged and its {segment.rows} rows are computed again: {segment.path}"
        self._listen(Warned("W610", text))
        return False

    def _steadily(self, passkey: str, look: Callable[[list[Segment]], _Result]) -> _Result:
        """What `look` sees in a listing whose files do not vanish while it looks."""
        for wait in PATIENCE:
            try:
                return look(self._segments(passkey))
            except FileNotFoundError:
                time.sleep(wait)
        raise StoreError(
            "E613",
            f"segments of pass {passkey[:12]} vanish while they are read",
            help="wait until no other run prunes this store, or use another one: --store DIR",
        )


def _claim(root: Path) -> None:
    mark = root / "VERSION"
    durable.make_folder(root)
    if not mark.exists():
        _refuse_foreign_folder(root)
        durable.write_whole(mark, f"selrun store {VERSION}\n".encode())
    _check_version(mark)


def _refuse_foreign_folder(root: Path) -> None:
    if any(not path.name.startswith(".") and path.name != "VERSION" for path in root.iterdir()):
        raise StoreError(
            "E611",
            f"{root} is not a store and not empty",
            help="name a new or empty folder: --store DIR",
        )


def _check_version(mark: Path) -> None:
    try:
        text = mark.read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        raise StoreError(
            "E611",
            f"cannot read the store at {mark.parent}: {(error.strerror or str(error)).lower()}",
            help="change its permissions, or use another store: --store DIR",
        ) from error
    if text != f"selrun store {VERSION}":
        raise StoreError(
            "E610",
            f"the store at {mark.parent} says {text[:40]!r} where this selrun reads 'selrun store {VERSION}'",
            help=(
                "use another store: --store DIR",
                f"or remove it and compute again: delete the folder {mark.parent}",
            ),
        )


def _folders(parent: Path) -> list[Path]:
    try:
        return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _listing(folder: Path) -> list[Segment]:
    # While segments are united, one listing can miss both the union and parts of it. One that still has all
    # that was seen before it began cannot; what was written meanwhile may be there or not.
    seen = _list_once(folder)
    for _ in PATIENCE:
        again = _list_once(folder)
        if set(seen) <= set(again):
            return again
        seen = again
    return seen


def _list_once(folder: Path) -> list[Segment]:
    try:
        paths = list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(segment for path in paths if (segment := Segment.of(path)))


def _write_segment(folder: Path, rows: pl.DataFrame, written: int) -> None:
    buffer = io.BytesIO()
    rows.write_parquet(buffer, compression="zstd", compression_level=1)
    content = buffer.getbuffer()
    durable.write_whole(folder / _segment_name(content, len(rows), written), content)


def _segment_name(content: memoryview, rows: int, written: int) -> str:
    import zlib

    return f"{written:016x}-{secrets.token_hex(4)}-{rows}-{zlib.crc32(content):08x}.parquet"


def _keys(segments: list[Segment]) -> pl.DataFrame:
    if not segments:
        return pl.DataFrame(schema={"key": pl.String})
    return pl.scan_parquet([each.path for each in segments]).select("key").collect()


def _rows(segments: list[Segment], wanted: pl.Series) -> pl.DataFrame:
    """The rows of the wanted keys in their order; in a row without an answer the key is null."""
    held = _keys(segments).with_row_index("at").join(wanted.to_frame("key"), on="key", how="semi")
    held = held.group_by("key").agg(pl.col("at").min())
    sought = wanted.to_frame("key").join(held, on="key", how="left", maintain_order="left")
    places = sought["at"].drop_nulls().unique().sort()
    found = _gather(segments, places)
    order = sought.select("at").join(
        places.to_frame("at").with_row_index("row"), on="at", how="left", maintain_order="left"
    )
    return found.select(pl.all().gather(order["row"]))


def _gather(segments: list[Segment], places: pl.Series) -> pl.DataFrame:
    """The rows at the sorted places, counted through all segments; segments without one are not opened."""
    parts, start = [_NOTHING], 0
    for each in segments:
        local = places.filter(places.is_between(start, start + each.rows, closed="left")) - start
        if len(local):
            rows = pl.read_parquet(each.path)
            parts.append(rows if len(local) == each.rows else rows[local])
        start += each.rows
    return pl.concat(parts, how="vertical_relaxed")


def _within(segments: Iterable[Segment], limit: int) -> list[Segment]:
    chosen, total = [], 0
    for size, each in sorted((durable.size_of(each.path), each) for each in segments):
        total += size
        if total > limit:
            break
        chosen.append(each)
    return sorted(chosen)


def _meta_of(folder: Path) -> PassMeta | None:
    try:
        return from_stored((folder / "pass.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return None


def _last_use(folder: Path) -> float:
    times = [path.stat().st_mtime for path in (folder / "pass.json", folder) if path.exists()]
    return max(times, default=0.0)
