"""Turns a part of Xvfb's screen file into a picture: screen_to_png.py SCREEN LEFT TOP WIDTH HEIGHT PNG

The file is an X window dump (XWD version 7, 32 bits a pixel, little endian), as `Xvfb -fbdir` keeps it.
"""
import struct
import sys
import zlib


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def main(screen, left, top, width, height, png):
    left, top, width, height = map(int, (left, top, width, height))
    with open(screen, "rb") as file:
        dump = file.read()
    field = struct.unpack(">25I", dump[:100])
    assert (field[1], field[7], field[11]) == (7, 0, 32), "an unknown form of window dump"
    data, line = field[0] + field[19] * 12, field[12]
    rows = []
    for y in range(top, min(top + height, field[5])):
        start = data + y * line
        row = dump[start + 4 * left : start + 4 * min(left + width, field[4])]
        rgb = bytearray(len(row) // 4 * 3)
        rgb[0::3], rgb[1::3], rgb[2::3] = row[2::4], row[1::4], row[0::4]
        rows.append(b"\0" + bytes(rgb))
    size = struct.pack(">IIBBBBB", (len(rows[0]) - 1) // 3, len(rows), 8, 2, 0, 0, 0)
    with open(png, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size))
        file.write(chunk(b"IDAT", zlib.compress(b"".join(rows), 9)) + chunk(b"IEND", b""))


main(*sys.argv[1:])
