"""Makes a browser's screenshot small: few colours, each pixel a number of a palette."""

import base64
import struct
import zlib
from collections import Counter

from playwright.sync_api import Page

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE = 3  # the kind of PNG
_COLOURS = 256
#: The browser reads its own picture far sooner than Python does. [width, RGBA bytes in base64]
_READ = """async (picture) => {
  const answer = await fetch(`data:image/png;base64,${picture}`);
  const image = await createImageBitmap(await answer.blob());
  const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, image.width, image.height);
  let text = "";
  for (let at = 0; at < data.length; at += 9999) text += String.fromCharCode(...data.subarray(at, at + 9999));
  return [image.width, btoa(text)];
}"""


def shrink(picture: bytes, blank: Page) -> bytes:
    """`blank`: an empty page to read it in."""
    width, encoded = blank.evaluate(_READ, base64.b64encode(picture).decode())
    data = base64.b64decode(encoded)
    pixels = [data[at : at + 3] for at in range(0, len(data), 4)]
    palette, numbers = _palette(pixels)
    flat = bytes(numbers[pixel] for pixel in pixels)
    lines = b"".join(b"\0" + flat[at : at + width] for at in range(0, len(flat), width))
    head = struct.pack(">IIBBBBB", width, len(flat) // width, 8, _PALETTE, 0, 0, 0)
    parts = (
        (b"IHDR", head),
        (b"PLTE", b"".join(palette)),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    return _SIGNATURE + b"".join(_chunk(kind, content) for kind, content in parts)


def _palette(pixels: list[bytes]) -> tuple[list[bytes], dict[bytes, int]]:
    """The colours that are there most; every other one becomes the nearest of them."""
    found = Counter(pixels)
    palette = [colour for colour, _ in found.most_common(_COLOURS)]
    places = {colour: place for place, colour in enumerate(palette)}

    def nearest(colour: bytes) -> bytes:
        return min(palette, key=lambda one: sum((a - b) ** 2 for a, b in zip(one, colour, strict=True)))

    return palette, {colour: places[colour if colour in places else nearest(colour)] for colour in found}


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
