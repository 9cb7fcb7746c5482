"""The zip archive of a bundle, written in one canonical form and read only in that form.

A bundle may come from a stranger. So nothing is extracted to disk, no library interprets a damaged archive, and reading
refuses everything that `write` would not have written: names that lead out of a folder, links, encryption, members that
share bytes, more bytes than declared. Only the compressed bytes may differ, because builds of zlib compress
differently. PKWARE's APPNOTE.TXT 6.3 describes the format:

    member, member, …        each a local header with the name, followed by the deflated bytes
    entry, entry, …          the central directory: the same headers with the offset of each member
    end record               the number of entries, and where the directory starts
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from prunebench.errors import PrunebenchError

# Generous: 5 seeds × 9 tasks of GLUE at 10 sparsities take 50 MB unpacked.
MAX_FILE = 256 * 2**20
MAX_TOTAL = 1024 * 2**20
# A bundle of results compresses about 10 times. It may grow to the second number, and as many times its size more.
MAX_GROWTH, ALWAYS_ALLOWED = 40, 64 * 2**20
MAX_MEMBERS = 500
# Deflate compresses at most 1032 times. Small members may reach that, such as constant predictions.
MAX_RATIO, SMALL = 200, 16 * 2**20

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_DEFLATED = 8
# Version 2.0 on Unix; midnight of 1980-01-01, the first date of the format; a regular file that everyone may read.
_MADE_BY, _NEEDED, _TIME, _DATE, _MODE = 3 << 8 | 20, 20, 0, 1 << 5 | 1, (stat.S_IFREG | 0o644) << 16


def printable(text: str) -> str:
    """Text of a stranger on one line, shortened, with control characters escaped so that no terminal obeys them."""
    text = "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)
    return text if len(text) <= 1000 else f"{text[:1000]}…"


class BadBundle(PrunebenchError):
    """A bundle that is refused. Message and hint may quote it, and are made safe to print."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(printable(message), printable(hint))


@dataclass(frozen=True)
class _Member:
    name: bytes
    crc: int
    compressed_size: int
    size: int
    offset: int = 0

    def local_header(self) -> bytes:
        sizes = (self.crc, self.compressed_size, self.size, len(self.name), 0)
        return _LOCAL.pack(b"PK\3\4", _NEEDED, 0, _DEFLATED, _TIME, _DATE, *sizes) + self.name

    def central_header(self) -> bytes:
        sizes = (self.crc, self.compressed_size, self.size, len(self.name), 0, 0, 0, 0, _MODE, self.offset)
        return _CENTRAL.pack(b"PK\1\2", _MADE_BY, _NEEDED, 0, _DEFLATED, _TIME, _DATE, *sizes) + self.name


def write(members: Mapping[str, bytes]) -> bytes:
    """The archive of these members, sorted by name. With one build of zlib, equal members give equal bytes."""
    parts, directory, offset = [], [], 0
    for name in sorted(members):
        data = members[name]
        compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        compressed = compressor.compress(data) + compressor.flush()
        member = _Member(name.encode("ascii"), zlib.crc32(data), len(compressed), len(data), offset)
        parts += [member.local_header(), compressed]
        directory.append(member.central_header())
        offset += len(parts[-2]) + len(compressed)
    return b"".join([*parts, *directory, _end_record(directory, offset)])


def _end_record(directory: list[bytes], offset: int) -> bytes:
    return _END.pack(b"PK\5\6", 0, 0, len(directory), len(directory), sum(map(len, directory)), offset, 0)


def read_file(path: Path) -> bytes:
    """The bytes of an archive. Raises PrunebenchError if the file cannot be read, and BadBundle if it is too large."""
    try:
        if not path.is_file():
            raise PrunebenchError(f"no bundle {str(path)!r}", "expected a zip file written by `prunebench bundle`")
        if path.stat().st_size > MAX_FILE:
            raise BadBundle(f"{path.name} has {path.stat().st_size} bytes", f"expected at most {MAX_FILE}")
        return path.read_bytes()
    except OSError as error:
        raise PrunebenchError(f"cannot read {str(path)!r}: {(error.strerror or str(error)).lower()}") from None


def read(data: bytes) -> dict[str, bytes]:
    """The members of an archive by name. Raises BadBundle for everything that `write` does not write."""
    if len(data) > MAX_FILE:
        raise BadBundle(f"the archive has {len(data)} bytes", f"expected at most {MAX_FILE}")
    members = list(_read_directory(data))
    _check_sizes(members, len(data))
    contents: dict[str, bytes] = {}
    offset = 0
    for member in members:
        name = member.name.decode("ascii")
        if member.offset != offset:
            raise BadBundle(f"the member {name!r} overlaps another, or there are bytes between them")
        start = offset + len(member.local_header())
        offset = start + member.compressed_size
        if data[member.offset : start] != member.local_header():
            raise BadBundle(f"the member {name!r} has a header that `prunebench bundle` does not write")
        contents[name] = _inflate(data[start:offset], member, name)
    directory = [member.central_header() for member in members]
    if data[offset:] != b"".join(directory) + _end_record(directory, offset):
        raise BadBundle("the archive is not laid out as `prunebench bundle` writes it", "expected the original file")
    return contents


def _read_directory(data: bytes) -> Iterator[_Member]:
    """The entries of the central directory, each checked."""
    if len(data) < _END.size or data[-_END.size :][:4] != b"PK\5\6":
        raise BadBundle("not a zip archive, or there are bytes after its end", "expected the original file")
    _, disk, start_disk, disk_entries, entries, length, start, _ = _END.unpack(data[-_END.size :])
    if disk or start_disk or disk_entries != entries or start + length != len(data) - _END.size:
        raise BadBundle("the archive has several parts, or its directory is not where its end record says")
    if entries > MAX_MEMBERS:
        raise BadBundle(f"the archive has {entries} members", f"expected at most {MAX_MEMBERS}")
    names = set[str]()
    for _ in range(entries):
        header = data[start : start + _CENTRAL.size]
        if len(header) < _CENTRAL.size or header[:4] != b"PK\1\2":
            raise BadBundle("the directory of the archive is incomplete")
        _, _, _, flags, method, _, _, crc, compressed_size, size, *rest = _CENTRAL.unpack(header)
        name_length, extra, comment, _, _, mode, offset = rest
        raw_name = data[start + _CENTRAL.size : start + _CENTRAL.size + name_length]
        name = _check_name(raw_name)
        if name.lower() in names:
            raise BadBundle(f"the member {name!r} appears twice")
        names.add(name.lower())
        _check_kind(name, flags, method, mode)
        yield _Member(raw_name, crc, compressed_size, size, offset)
        start += _CENTRAL.size + name_length + extra + comment


def _check_name(raw: bytes) -> str:
    try:
        name = raw.decode("ascii")
    except UnicodeDecodeError:
        raise BadBundle(f"a member has the name {raw!r}", "expected ASCII") from None
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or ":" in name:
        raise BadBundle(f"the member {name!r} has an absolute path, or a path of another system")
    if ".." in parts:
        raise BadBundle(f"the member {name!r} leads out of the archive's folder")
    if not all(parts) or "." in parts or not name.isprintable():
        raise BadBundle(f"the member {name!r} does not have a plain file name")
    return name


def _check_kind(name: str, flags: int, method: int, mode: int) -> None:
    if flags & 0x2041:
        raise BadBundle(f"the member {name!r} is encrypted")
    if flags:
        raise BadBundle(f"the member {name!r} has flags {flags:#x}", "expected none")
    kind = stat.S_IFMT(mode >> 16)
    if kind not in (0, stat.S_IFREG):
        word = "a link" if kind == stat.S_IFLNK else "a folder" if kind == stat.S_IFDIR else "a special file"
        raise BadBundle(f"the member {name!r} is {word}", "expected a regular file")
    if method != _DEFLATED:
        raise BadBundle(f"the member {name!r} is compressed with method {method}", f"expected deflate ({_DEFLATED})")


def _check_sizes(members: list[_Member], file_size: int) -> None:
    total = sum(member.size for member in members)
    if total > MAX_TOTAL:
        raise BadBundle(f"the archive would unpack to {total} bytes", f"expected at most {MAX_TOTAL}")
    for member in members:
        if member.size > SMALL and member.size > MAX_RATIO * member.compressed_size:
            raise BadBundle(
                f"the member {member.name.decode()!r} would unpack from {member.compressed_size} to {member.size} bytes"
                " like a zip bomb",
                f"expected at most {MAX_RATIO} times for members above {SMALL} bytes",
            )
    if total > ALWAYS_ALLOWED + MAX_GROWTH * file_size:
        raise BadBundle(
            f"the archive would unpack from {file_size} to {total} bytes",
            f"expected at most {MAX_GROWTH} times as many, and {ALWAYS_ALLOWED}",
        )


def _inflate(compressed: bytes, member: _Member, name: str) -> bytes:
    """The bytes of a member. Never decompresses more than one byte beyond its declared size."""
    decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = decompressor.decompress(compressed, member.size + 1)
    except zlib.error as error:
        raise BadBundle(f"the member {name!r} is damaged: {error}") from None
    if len(data) > member.size:
        raise BadBundle(f"the member {name!r} has more bytes than the {member.size} that it declares")
    if not decompressor.eof or decompressor.unused_data or decompressor.unconsumed_tail or len(data) < member.size:
        raise BadBundle(f"the member {name!r} does not have the length that it declares")
    if zlib.crc32(data) != member.crc:
        raise BadBundle(f"the member {name!r} does not match its checksum")
    return data
