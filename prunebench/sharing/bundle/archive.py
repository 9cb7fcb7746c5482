"""The zip archive of a bundle: always written in one way, and read only if it was written so.

Whoever sends a bundle may be a stranger. So nothing is unpacked to a disk, no library guesses at what a damaged
archive may mean, and everything is refused that `write` would not have written: names that lead out of a folder,
links, encryption, members that share bytes, more bytes than were declared. Only how tightly the bytes are deflated may
differ, as it does between two builds of zlib. (PKWARE's APPNOTE.TXT 6.3 describes the format.) Imports only `errors`.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from prunebench.errors import PrunebenchError

# Generous: 5 seeds × 9 tasks of GLUE at 10 sparsities is 50 MB unpacked.
MAX_FILE = 256 * 2**20
MAX_TOTAL = 1024 * 2**20
MAX_MEMBERS = 500
# Deflate cannot exceed 1032. Small members may reach that: a model that always says the same is easily written down.
MAX_RATIO, SMALL = 200, 16 * 2**20

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_STORED, _DEFLATED = 0, 8
# Version 2.0, on Unix; midnight of 1980-01-01, the first day that the format knows; a regular file that all may read.
_MADE, _NEEDS, _TIME, _DATE, _MODE = 3 << 8 | 20, 20, 0, 1 << 5 | 1, (stat.S_IFREG | 0o644) << 16


def shown(text: str) -> str:
    """What a stranger wrote, on one line, without what a terminal would obey, and not without end."""
    text = "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)
    return text if len(text) <= 1000 else f"{text[:1000]}…"


class BadBundle(PrunebenchError):
    """A bundle that is refused, and why."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(shown(message), shown(hint))


@dataclass(frozen=True)
class _Member:
    name: bytes
    crc: int
    packed: int
    size: int
    offset: int = 0

    def local(self) -> bytes:
        sizes = (self.crc, self.packed, self.size, len(self.name), 0)
        return _LOCAL.pack(b"PK\3\4", _NEEDS, 0, _DEFLATED, _TIME, _DATE, *sizes) + self.name

    def central(self) -> bytes:
        sizes = (self.crc, self.packed, self.size, len(self.name), 0, 0, 0, 0, _MODE, self.offset)
        return _CENTRAL.pack(b"PK\1\2", _MADE, _NEEDS, 0, _DEFLATED, _TIME, _DATE, *sizes) + self.name


def write(members: Mapping[str, bytes]) -> bytes:
    """The archive of these members, sorted by name; the same bytes for the same members (and build of zlib)."""
    parts, directory, offset = [], [], 0
    for name in sorted(members):
        data = members[name]
        deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        packed = deflate.compress(data) + deflate.flush()
        member = _Member(name.encode("ascii"), zlib.crc32(data), len(packed), len(data), offset)
        parts += [member.local(), packed]
        directory.append(member.central())
        offset += len(parts[-2]) + len(packed)
    return b"".join([*parts, *directory, _end(directory, offset)])


def _end(directory: list[bytes], offset: int) -> bytes:
    return _END.pack(b"PK\5\6", 0, 0, len(directory), len(directory), sum(map(len, directory)), offset, 0)


def read_file(path: Path) -> bytes:
    """The bytes of an archive. Raises PrunebenchError where there is no file, and BadBundle where it is too large."""
    try:
        if not path.is_file():
            raise PrunebenchError(f"no bundle {str(path)!r}", "expected the path of a zip file of `prunebench bundle`")
        if path.stat().st_size > MAX_FILE:
            raise BadBundle(f"{path.name} has {path.stat().st_size} bytes", f"a bundle has at most {MAX_FILE}")
        return path.read_bytes()
    except OSError as error:
        raise PrunebenchError(f"cannot read {str(path)!r}: {(error.strerror or str(error)).lower()}") from None


def read(data: bytes) -> dict[str, bytes]:
    """The members of an archive by name. Raises BadBundle, with the reason, for all that `write` does not write."""
    if len(data) > MAX_FILE:
        raise BadBundle(f"the archive has {len(data)} bytes", f"a bundle has at most {MAX_FILE}")
    members = list(_directory(data))
    names = [member.name.decode("ascii") for member in members]
    _check_sizes(members)
    found: dict[str, bytes] = {}
    offset = 0
    for name, member in zip(names, members, strict=True):
        if member.offset != offset:
            raise BadBundle(f"the member {name!r} overlaps another, or there are bytes between the two")
        start = offset + len(member.local())
        offset = start + member.packed
        if data[member.offset : start] != member.local():
            raise BadBundle(f"the member {name!r} has a header that `prunebench bundle` does not write")
        found[name] = _inflate(data[start:offset], member, name)
    directory = [member.central() for member in members]
    if data[offset:] != b"".join(directory) + _end(directory, offset):
        raise BadBundle("the archive is not laid out as `prunebench bundle` writes it", "send the file that it wrote")
    return found


def _directory(data: bytes) -> Iterator[_Member]:
    """The entries of the central directory, each checked."""
    if len(data) < _END.size or data[-_END.size :][:4] != b"PK\5\6":
        raise BadBundle("it is no zip archive, or something stands behind its end", "expected the file as it was sent")
    _, disk, start_disk, here, number, length, offset, _ = _END.unpack(data[-_END.size :])
    if disk or start_disk or here != number or offset + length != len(data) - _END.size:
        raise BadBundle("the archive is in parts, or its directory is not where it says")
    if number > MAX_MEMBERS:
        raise BadBundle(f"the archive has {number} members", f"a bundle has at most {MAX_MEMBERS}")
    at, seen = offset, set[str]()
    for _ in range(number):
        entry = data[at : at + _CENTRAL.size]
        if len(entry) < _CENTRAL.size or entry[:4] != b"PK\1\2":
            raise BadBundle("the directory of the archive is torn")
        _, _, _, flags, method, *_, name_length, extra, comment, _, _, mode, _ = _CENTRAL.unpack(entry)
        _, _, _, _, _, _, _, crc, packed, size, *_, member_offset = _CENTRAL.unpack(entry)
        raw = data[at + _CENTRAL.size : at + _CENTRAL.size + name_length]
        name = _checked_name(raw)
        if name.lower() in seen:
            raise BadBundle(f"the member {name!r} is there twice")
        seen.add(name.lower())
        _check_kind(name, flags, method, mode)
        yield _Member(raw, crc, packed, size, member_offset)
        at += _CENTRAL.size + name_length + extra + comment


def _checked_name(raw: bytes) -> str:
    try:
        name = raw.decode("ascii")
    except UnicodeDecodeError:
        raise BadBundle(f"a member has the name {raw!r}", "names in a bundle are plain ASCII") from None
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or ":" in name:
        raise BadBundle(f"the member {name!r} has an absolute path, or one of another system", "expected plain names")
    if ".." in parts:
        raise BadBundle(f"the member {name!r} leads out of the archive's folder", "expected plain names")
    if not all(parts) or "." in parts or not name.isprintable():
        raise BadBundle(f"the member {name!r} is no plain file name")
    return name


def _check_kind(name: str, flags: int, method: int, mode: int) -> None:
    if flags & 0x2041:
        raise BadBundle(f"the member {name!r} is encrypted")
    if flags:
        raise BadBundle(f"the member {name!r} has flags {flags:#x}", "`prunebench bundle` sets none")
    kind = stat.S_IFMT(mode >> 16)
    if kind not in (0, stat.S_IFREG):
        what = "a link" if kind == stat.S_IFLNK else "a folder" if kind == stat.S_IFDIR else "no regular file"
        raise BadBundle(f"the member {name!r} is {what}", "a bundle holds regular files only")
    if method != _DEFLATED:
        raise BadBundle(f"the member {name!r} is packed by method {method}", f"a bundle's are deflated ({_DEFLATED})")


def _check_sizes(members: list[_Member]) -> None:
    total = sum(member.size for member in members)
    if total > MAX_TOTAL:
        raise BadBundle(f"the archive would have {total} bytes unpacked", f"a bundle has at most {MAX_TOTAL}")
    for member in members:
        if member.size > SMALL and member.size > MAX_RATIO * member.packed:
            raise BadBundle(
                f"the member {member.name.decode()!r} would grow from {member.packed} to {member.size} bytes",
                f"as a zip bomb does; above {SMALL} bytes at most {MAX_RATIO} times",
            )


def _inflate(packed: bytes, member: _Member, name: str) -> bytes:
    """The bytes of a member. Not more of them are ever made than its entry declares, and one."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflate.decompress(packed, member.size + 1)
    except zlib.error as error:
        raise BadBundle(f"the member {name!r} is damaged: {error}") from None
    if len(data) > member.size:
        raise BadBundle(f"the member {name!r} has more bytes than the {member.size} that it declares")
    if not inflate.eof or inflate.unused_data or inflate.unconsumed_tail or len(data) < member.size:
        raise BadBundle(f"the member {name!r} is not as long as it says")
    if zlib.crc32(data) != member.crc:
        raise BadBundle(f"the member {name!r} does not match its checksum")
    return data
