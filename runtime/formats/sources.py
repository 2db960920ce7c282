"""Finding the files that a source names, and opening them."""

from __future__ import annotations

import difflib
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

import zstandard

from ...errors import DataError
from .layout import Compression

ENDINGS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".gz", ".zst")
RECORDS = (".manifest.json", ".history.parquet")
"""What a run writes beside its output, and nobody means by a folder or a pattern."""
HEAD = 1 << 20
Stream: TypeAlias = "io.BufferedReader[Any]"
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class File:
    """One file of a source; `url` is set where it is not on the local disk."""

    name: str
    url: str | None = None

    def open(self) -> IO[bytes]:
        """The file's bytes as they are stored."""
        if self.url is None:
            return open(self.name, "rb")
        import fsspec

        system, path = fsspec.url_to_fs(self.url)
        return cast(IO[bytes], system.open(path, "rb"))

    @property
    def local(self) -> Path | None:
        return Path(self.name) if self.url is None else None


def files(source: str | Path) -> list[File]:
    """The files that a path, a folder, a pattern or a URL names, in the order of their names."""
    text = str(source)
    if "://" in text:
        return remote_files(text)
    path = Path(os.path.expanduser(text))
    if os.path.isfile(path):  # unlike `Path`'s, it takes a name that is too long for a file's
        return [File(str(path))]
    if os.path.isdir(path):
        return files_in(path)
    if any(letter in text for letter in "*?["):
        return matching(path)
    raise missing(path)


def files_in(folder: Path) -> list[File]:
    found = sorted(str(p) for p in folder.iterdir() if p.is_file() and is_dataset_name(p.name))
    if not found:
        seen = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) or "nothing"
        raise DataError(
            "E501",
            f"no dataset is in the folder `{folder}`",
            notes=[f"the folder holds: {seen}"],
            help=f"put files there that end in {', '.join(ENDINGS)}, or name a file",
        )
    return [File(name) for name in found]


def is_dataset_name(name: str) -> bool:
    return name.endswith(ENDINGS) and not name.startswith((".", "_")) and not name.endswith(RECORDS)


def matching(pattern: Path) -> list[File]:
    import glob

    named = (p for p in glob.glob(str(pattern), recursive=True) if not p.endswith(RECORDS))
    found = sorted(p for p in named if Path(p).is_file())
    if not found:
        raise DataError("E501", f"no file matches `{pattern}`", help="write a pattern that matches a file")
    return [File(name) for name in found]


def missing(path: Path) -> DataError:
    """The error for a file that is not there, with names near it."""
    folder = path.parent
    names = sorted(p.name for p in folder.iterdir()) if os.path.isdir(folder) else []
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.6)
    if near:
        help = "a file with a similar name exists: " + ", ".join(f"`{folder / name}`" for name in near)
    elif names:
        help = f"the folder `{folder}` holds: " + ", ".join(f"`{name}`" for name in names[:8])
    else:
        help = f"the folder `{folder}` is {'empty' if os.path.isdir(folder) else 'not there either'}"
    return DataError("E501", f"no file is at `{path}`", help=help)


def remote_files(url: str) -> list[File]:
    """The files at an fsspec URL: one file, a folder or a pattern."""
    import fsspec

    try:
        system, path = fsspec.url_to_fs(url)
        found = remote_paths(system, path)
    except (OSError, ValueError, ImportError) as error:
        raise unreachable(url, error) from error
    if not found:
        raise DataError(
            "E501", f"no file is at `{url}`", help="write the URL of a file, a folder or a pattern"
        )
    return [File(name, system.unstrip_protocol(name)) for name in found]


def remote_paths(system: Any, path: str) -> list[str]:
    if any(letter in path for letter in "*?["):
        return sorted(system.glob(path))
    if system.isdir(path):
        inside = system.ls(path, detail=False)
        return sorted(p for p in inside if is_dataset_name(p.rsplit("/", 1)[-1]))
    return [path] if system.exists(path) else []


def unreachable(url: str, error: Exception) -> DataError:
    return DataError(
        "E502",
        f"cannot reach `{url}`",
        notes=[str(error).strip() or type(error).__name__],
        help="check the address and the credentials, or install the file system that the message names",
    )


@contextmanager
def opened(file: File) -> Iterator[tuple[Stream, Compression | None]]:
    """The file's bytes after decompression, and how they were compressed."""
    try:
        with file.open() as raw:
            stored = io.BufferedReader(cast(io.RawIOBase, raw), HEAD)
            magic = stored.peek(4)[:4]
            if magic.startswith(GZIP):
                yield io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=stored)), HEAD), "gz"
            elif magic.startswith(ZSTD):
                yield io.BufferedReader(Zstandard(stored), HEAD), "zst"
            else:
                yield stored, None
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise damaged(file.name, str(error)) from error
    except OSError as error:
        raise DataError(
            "E502", f"cannot read `{file.name}`", notes=[str(error)], help="check the file"
        ) from error


def damaged(name: str, reason: str) -> DataError:
    return DataError(
        "E505",
        f"`{name}` is cut off or damaged",
        notes=[reason],
        help="copy or download the file again; nothing of it was used",
    )


class Zstandard(io.RawIOBase):
    """The content of a zstd file; an end in the middle of a frame is an error."""

    def __init__(self, stored: Stream):
        self.stored = stored
        self.frame = zstandard.ZstdDecompressor().decompressobj()
        self.ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self.ready and self.fill():
            pass
        taken, self.ready = self.ready[: len(buffer)], self.ready[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def fill(self) -> bool:
        """Decompress a little more; false at the end of the file."""
        packed = (self.frame.unused_data if self.frame.eof else b"") or self.stored.read(1 << 16)
        if not packed:
            if not self.frame.eof:
                raise EOFError("the compressed stream ends before its end marker")
            return False
        if self.frame.eof:
            self.frame = zstandard.ZstdDecompressor().decompressobj()
        self.ready = self.frame.decompress(packed)
        return True
