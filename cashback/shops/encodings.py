"""Finds the encoding of a text file: UTF-8, UTF-16 or Windows-1252, as shops and spreadsheets write them."""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from cashback.domain.errors import CashbackError

BLOCK_BYTES: Final = 1 << 20
LONGEST_ID: Final = 19
LONGEST_LINE_BLOCKS: Final = 16
SAVE_AGAIN: Final = 'save it as "CSV UTF-8"'
UTF_16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NOT_WINDOWS_1252: Final = re.compile(
    rb"[\x81\x8d\x8f\x90\x9d]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
"""Bytes without a meaning there, and characters that are whole ones in UTF-8: a file that mixes the two is refused."""

SIGNATURES: Final = {
    b"\xd0\xcf\x11\xe0": "an old Excel file (XLS); save it as XLSX or CSV",
    b"%PDF": "a PDF; export CSV from the shop",
    **dict.fromkeys((b"\x1f\x8b", b"Rar!", b"7z\xbc\xaf", b"BZh"), "a compressed file; unpack it first"),
    b"<": "a web page or XML; export CSV from the shop",
    **dict.fromkeys((b"{", b"["), "JSON; export CSV from the shop"),
}


_ROUNDED: Final = re.compile(rb"(?<=[0-9]{14})000(?![0-9])")
"""The end of an id that a spreadsheet rounded, or of one in a thousand others."""
LINES_FOR_ONE: Final = 200


class TextFormat(NamedTuple):
    """How to decode a file, its number of lines, and whether more than chance of its bytes look like rounded ids."""

    encoding: str
    line_count: int
    may_be_rounded: bool = True


def find_encoding(path: Path) -> TextFormat:
    """Read the whole file once and return how it is encoded. Raises CashbackError if it is not text."""
    try:
        first = next(_blocks(path), b"")
        _refuse_other_files(path, first)
        encoding = _by_its_first_bytes(path, first)
        try:
            return _look_through(path, encoding)
        except UnicodeDecodeError as error:
            if encoding != "utf-8-sig" or error.reason == "unexpected end of data":
                raise CashbackError(f"{path} is not UTF-8 text, or was cut; {SAVE_AGAIN}.") from error
            return TextFormat("cp1252", _count_windows_1252(path))
    except OSError as error:
        raise CashbackError(f"{path} cannot be read ({error.strerror}).") from error


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def _refuse_other_files(path: Path, first: bytes) -> None:
    beginning = first[:100].removeprefix(codecs.BOM_UTF8).lstrip()
    for signature, what in SIGNATURES.items():
        if beginning.startswith(signature):
            raise CashbackError(f"{path} is {what}.")


def _by_its_first_bytes(path: Path, first: bytes) -> str:
    """Return the encoding that a mark or the NUL bytes of the first block show; UTF-8 without either."""
    if first.startswith(UTF_16_MARKS):
        return "utf-16"
    if b"\0" not in first:
        return "utf-8-sig"
    # Text of a Western language in UTF-16 has a NUL in nearly every second byte.
    if first[1::2].count(0) > len(first) // 4 and 0 not in first[0::2]:
        return "utf-16-le"
    if first[0::2].count(0) > len(first) // 4 and 0 not in first[1::2]:
        return "utf-16-be"
    raise _not_text(path, first, 0)


def _not_text(path: Path, block: bytes, lines_before: int) -> CashbackError:
    line = lines_before + block[: block.index(0)].count(10) + 1
    return CashbackError(f"{path} is not a text file: line {line} holds a NUL byte.")


def _look_through(path: Path, encoding: str) -> TextFormat:
    decoder = codecs.getincrementaldecoder("utf-8" if encoding == "utf-8-sig" else encoding)()
    is_wide = encoding.startswith("utf-16")
    lines, rounded, without_end, end = 0, 0, 0, b""
    for block in _blocks(path):
        rounded += len(_ROUNDED.findall(end + block))
        end = block[-LONGEST_ID:]
        if not is_wide and b"\0" in block:
            raise _not_text(path, block, lines)
        text = decoder.decode(block)
        if is_wide and "\0" in text:
            raise CashbackError(f"{path} is not a text file: it holds a NUL character near line {lines + 1}.")
        lines += block.count(b"\n")
        # The reader of CSV takes a whole line into memory.
        without_end = 0 if b"\n" in block or b"\r" in block else without_end + 1
        if without_end > LONGEST_LINE_BLOCKS:
            raise CashbackError(f"{path} is not a table: line {lines + 1} has more than {LONGEST_LINE_BLOCKS} MB.")
    decoder.decode(b"", final=True)
    return TextFormat(encoding, lines, is_wide or rounded > lines // LINES_FOR_ONE)


def _count_windows_1252(path: Path) -> int:
    lines = 0
    for block in _blocks(path):
        found = _NOT_WINDOWS_1252.search(block)
        if found:
            line = lines + block[: found.start()].count(10) + 1
            raise CashbackError(
                f"{path} is not UTF-8 text, and not Windows-1252 either (near line {line}); {SAVE_AGAIN}."
            )
        lines += block.count(b"\n")
    return lines
