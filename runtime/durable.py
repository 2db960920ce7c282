"""Files and folders that exist whole or not at all.

What is being written carries a temporary name that tells host and process, so that what a killed process
left behind can be recognised and swept without locks.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import StoreError

ABANDONED = 24 * 3600
"""Seconds after which a temporary file is abandoned whoever wrote it: process numbers are reused."""

NO_ROOM = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EEXIST,
}
"""What the system answers where nothing can be written, whoever tries."""


def temporary(target: Path) -> Path:
    """A fresh name beside the target that no other process can be using."""
    host = socket.gethostname().replace(".", "-") or "host"
    return target.with_name(f".{host}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


def write_whole(target: Path, content: bytes | memoryview) -> None:
    """The file holds all of the content, on disk, or does not exist."""
    draft = temporary(target)
    try:
        with open(draft, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
        sync_folder(target.parent)
    except OSError as error:
        raise unwritable(target, error) from error
    finally:
        draft.unlink(missing_ok=True)


def publish_folder(target: Path, fill: Callable[[Path], None]) -> None:
    """The folder holds all that `fill` put into it; where another process was faster, its folder stays."""
    draft = temporary(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.mkdir()
        fill(draft)
        for path in draft.rglob("*"):
            sync_file(path)
        _rename_unless_present(draft, target)
        sync_folder(target.parent)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise unwritable(target, error) from error
        raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _rename_unless_present(draft: Path, target: Path) -> None:
    try:
        draft.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def make_folder(folder: Path) -> None:
    """The folder exists."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error


def sync_file(path: Path) -> None:
    """The content of the file has reached the disk."""
    if not path.is_file():
        return
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """The names in the folder have reached the disk, where the system can do that."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems sync no folders
            raise
    finally:
        os.close(descriptor)


def checksum(path: Path) -> str:
    """The CRC-32 of the file's bytes in hex: it finds damage, not malice, at 4 GB/s."""
    value = 0
    with open(path, "rb", buffering=0) as file:
        while block := file.read(1 << 22):
            value = zlib.crc32(block, value)
    return f"{value:08x}"


def abandoned(folder: Path) -> Iterator[Path]:
    """Temporary files and folders directly under the folder whose writer is gone."""
    return (path for path in folder.glob(".*.tmp") if _writer_is_gone(path))


def _writer_is_gone(path: Path) -> bool:
    _, host, process, *_ = path.name.split(".")
    here = host == (socket.gethostname().replace(".", "-") or "host")
    if here and process.isdigit() and not process_exists(int(process)):
        return True
    try:
        return time.time() - path.stat().st_mtime > ABANDONED
    except FileNotFoundError:
        return False


def process_exists(number: int) -> bool:
    """Whether a process of this number is alive on this machine."""
    import psutil

    return psutil.pid_exists(number)


def remove(path: Path) -> int:
    """The bytes freed by removing a file or folder that may be gone already."""
    freed = size_of(path)
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return freed


def size_of(path: Path) -> int:
    """Bytes held by a file, or by all files of a folder."""
    try:
        if path.is_dir():
            return sum(part.lstat().st_size for part in path.rglob("*") if part.is_file())
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def unwritable(target: Path, error: OSError) -> StoreError:
    """The error that says why the target could not be written, and what to do."""
    place = target.parent if target.suffix else target
    return StoreError(
        "E612",
        f"cannot write under {place}: {(error.strerror or str(error)).lower()}",
        help=(
            "free some space or change the permissions, then run the command again: finished work is kept",
            "keep the store elsewhere: --store DIR",
        ),
    )
