"""The zip archive of a bundle: what is written is read by anyone, and nothing else is read here."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import struct
import warnings
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.errors import PrunebenchError
from prunebench.sharing.bundle import archive
from prunebench.sharing.bundle.archive import BadBundle, read, read_file, write

MEMBERS = {"manifest.json": b"{}", "records.jsonl": b'{"a": 1}\n' * 50, "predictions/0.npy": bytes(range(256)) * 3}
GOOD = write(MEMBERS)

names = st.from_regex(r"[a-z0-9_]{1,8}(/[a-z0-9_.]{1,8}[a-z])?", fullmatch=True)


@given(st.dictionaries(names, st.binary(max_size=300), max_size=6))
def test_what_is_written_is_read_here_and_by_the_standard_library(members):
    data = write(members)
    assert read(data) == members
    with zipfile.ZipFile(io.BytesIO(data)) as other:
        assert other.testzip() is None
        assert {info.filename: other.read(info) for info in other.infolist()} == members
        assert [info.filename for info in other.infolist()] == sorted(members)
        assert {info.date_time for info in other.infolist()} <= {(1980, 1, 1, 0, 0, 0)}


def test_the_order_of_members_changes_nothing():
    assert write(dict(reversed(MEMBERS.items()))) == GOOD


def made(*members: tuple[zipfile.ZipInfo | str, bytes], method: int = zipfile.ZIP_DEFLATED, comment=b"") -> bytes:
    """An archive of the standard library."""
    with io.BytesIO() as file:
        with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as other:
            warnings.simplefilter("ignore")  # of names that stand twice
            for info, data in members:
                other.writestr(info, data)
            other.comment = comment
        return file.getvalue()


def info(name: str, mode: int = stat.S_IFREG | 0o644, **fields) -> zipfile.ZipInfo:
    found = zipfile.ZipInfo(name)
    found.external_attr = mode << 16
    found.compress_type = zipfile.ZIP_DEFLATED
    for field, value in fields.items():
        setattr(found, field, value)
    return found


def packed(*members: archive._Member, data: bytes = b"") -> bytes:
    """An archive whose directory says what it is told to."""
    directory = [member.central_header() for member in members]
    return data + b"".join(directory) + archive._end_record(directory, len(data))


def deflated(data: bytes) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush()


def bomb(size: int) -> bytes:
    """A true archive of one member that is nothing but zeros."""
    return write({"records.jsonl": bytes(size)})


def lying(size: int, told: int) -> bytes:
    """An archive whose one member has `size` bytes and says that it has `told`."""
    data = deflated(bytes(size))
    member = archive._Member(b"records.jsonl", zlib.crc32(bytes(told)), len(data), told)
    return packed(member, data=member.local_header() + data)


def overlapping() -> bytes:
    """Two entries that share the bytes of one member (as in Fifield 2019, "A better zip bomb")."""
    data = deflated(b"x" * 1000)
    members = [archive._Member(name, zlib.crc32(b"x" * 1000), len(data), 1000) for name in (b"a", b"b")]
    return packed(*members, data=members[0].local_header() + data)


def with_flag(flag: int) -> bytes:
    data = bytearray(GOOD)
    for at, offset in ((GOOD.index(b"PK\3\4"), 6), (GOOD.index(b"PK\1\2"), 8)):
        struct.pack_into("<H", data, at + offset, flag)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a zip archive"),
        (b"PK\3\4 and so on", "not a zip archive"),
        (GOOD[:-1], "not a zip archive"),
        (GOOD + b"\0", "not a zip archive, or there are bytes after its end"),
        (b"#!/bin/sh\n" + GOOD, "its directory is not where its end record says"),
        (made(("a", b"1"), comment=b"hello"), "there are bytes after its end"),
        (made(("../escaped", b"1")), "leads out of the archive's folder"),
        (made(("predictions/../../escaped", b"1")), "leads out of the archive's folder"),
        (made(("/etc/passwd", b"1")), "absolute path"),
        (made(("C:escaped", b"1")), "absolute path, or a path of another system"),
        (made(("..\\escaped", b"1")), "absolute path, or a path of another system"),
        (made(("\\\\host\\share", b"1")), "absolute path, or a path of another system"),
        (made(("./manifest.json", b"1")), "does not have a plain file name"),
        (made(("predictions//0.npy", b"1")), "does not have a plain file name"),
        (made(("predictions/", b"")), "does not have a plain file name"),
        (made((info("folder", stat.S_IFDIR | 0o755), b"")), "is a folder"),
        (made((info("manifest.json", stat.S_IFLNK | 0o777), b"/etc/passwd")), "is a link"),
        (made((info("manifest.json", stat.S_IFIFO | 0o644), b"")), "is a special file"),
        (made((info("manifest.json", stat.S_IFCHR | 0o644), b"")), "is a special file"),
        (made(("manifest.jsön", b"1")), "expected ASCII"),
        (made(("manifest\n.json", b"1")), "does not have a plain file name"),
        (made(("manifest.json", b"1"), ("manifest.json", b"2")), "'manifest.json' appears twice"),
        (made(("manifest.json", b"1"), ("MANIFEST.json", b"2")), "'MANIFEST.json' appears twice"),
        (made(("manifest.json", b"1"), method=zipfile.ZIP_STORED), "compressed with method 0"),
        (made(("manifest.json", b"1"), method=zipfile.ZIP_BZIP2), "compressed with method 12"),
        (made(("manifest.json", b"1"), method=zipfile.ZIP_LZMA), "has flags 0x2"),
        (made(*[(f"{number}", b"") for number in range(archive.MAX_MEMBERS + 1)]), "501 members"),
        (made((info("manifest.json", extra=b"\x99\x99\1\0x"), b"{}")), "has a header that"),
        (made((info("manifest.json", comment=b"hello"), b"{}")), "not laid out as"),
        (made((info("manifest.json", date_time=(2020, 1, 1, 0, 0, 0)), b"{}")), "has a header that"),
        (with_flag(1), "is encrypted"),
        (with_flag(8), "has flags 0x8"),
        (bomb(archive.SMALL + 1), "like a zip bomb"),
        (lying(10, archive.MAX_TOTAL + 1), "would unpack to 1073741825 bytes"),
        (lying(2**20, 10), "has more bytes than the 10 that it declares"),
        (lying(10, 2**20), "does not have the length that it declares"),
        (overlapping(), "overlaps another"),
    ],
)
def test_what_write_does_not_write_is_refused_with_its_reason(data, reason):
    with pytest.raises(BadBundle) as error:
        read(data)
    assert reason in str(error.value)


def test_a_directory_of_two_archives_is_refused():
    """The entries of one archive before those of another: two readers could see two archives."""
    with pytest.raises(BadBundle):
        read(GOOD + GOOD)


def test_bytes_between_members_are_refused():
    data = deflated(b"x")
    member = archive._Member(b"a", zlib.crc32(b"x"), len(data), 1, offset=3)
    with pytest.raises(BadBundle, match="bytes between"):
        read(packed(member, data=b"abc" + member.local_header() + data))


def test_bytes_behind_a_deflated_stream_are_refused():
    data = deflated(b"x") + b"hidden"
    member = archive._Member(b"a", zlib.crc32(b"x"), len(data), 1)
    with pytest.raises(BadBundle, match="does not have the length"):
        read(packed(member, data=member.local_header() + data))


def test_no_more_is_unpacked_than_was_declared(monkeypatch):
    """A member that declares 10 bytes and has 64 MiB costs 11 bytes."""
    sizes = []

    class Spy:
        def __init__(self, *arguments):
            self.inflate = zlib.decompressobj(*arguments)

        def decompress(self, data, limit):
            found = self.inflate.decompress(data, limit)
            sizes.append(len(found))
            return found

    data = lying(64 * 2**20, 10)
    monkeypatch.setattr(archive, "zlib", type("zlib", (), {**vars(zlib), "decompressobj": Spy}))
    with pytest.raises(BadBundle, match="more bytes"):
        read(data)
    assert sizes == [11]


def test_a_large_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "large.zip"
    with path.open("wb") as file:
        file.truncate(archive.MAX_FILE + 1)  # sparse: it takes no room
    monkeypatch.setattr(type(path), "read_bytes", lambda self: pytest.fail("it was read"))
    with pytest.raises(BadBundle, match="expected at most"):
        read_file(path)


@pytest.mark.parametrize("kind", ["nothing", "folder", "pipe"])
def test_what_is_no_file_is_said(kind, tmp_path):
    path = tmp_path / "x.zip"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(PrunebenchError, match="no bundle"):
        read_file(path)


def test_any_byte_flipped_is_refused_or_says_the_same():
    """Every byte of the archive, and every bit of it in the bytes that are not deflated."""
    for at in range(len(GOOD)):
        for bit in range(8):
            data = bytearray(GOOD)
            data[at] ^= 1 << bit
            try:
                found = read(bytes(data))
            except BadBundle:
                continue
            assert found == MEMBERS


@settings(max_examples=200)
@given(st.data())
def test_anything_done_to_the_bytes_is_refused_or_says_the_same(data):
    start = data.draw(st.integers(0, len(GOOD)))
    end = data.draw(st.integers(start, len(GOOD)))
    other = GOOD[:start] + data.draw(st.binary(max_size=40)) + GOOD[end:]
    with contextlib.suppress(BadBundle):
        assert read(other) == MEMBERS
