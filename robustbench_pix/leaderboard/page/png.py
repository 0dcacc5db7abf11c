"""Small images as PNG, without compression, so that the same levels give the same bytes whatever library is installed.

W3C, Portable Network Graphics (third edition), sections 5 and 11; of 8x8 pixels a file has 140 bytes.
"""

import base64
import struct
import zlib

GRAY, RGB = 0, 2


def data_uri(levels: bytes, height: int, width: int) -> str:
    """Return 8-bit levels, row by row, one an entry in gray and three in rgb, as the address of an image."""
    channels = len(levels) // (height * width)
    row = width * channels
    lines = b"".join(b"\0" + levels[start : start + row] for start in range(0, len(levels), row))
    header = struct.pack(">2I5B", width, height, 8, GRAY if channels == 1 else RGB, 0, 0, 0)
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(lines, level=0)), _chunk(b"IEND", b""))
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)).decode()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
