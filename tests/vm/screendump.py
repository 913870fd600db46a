"""What is on a machine's screen, as QEMU sees it: nothing in the guest is asked."""

from collections import Counter
from functools import cached_property

from tests.vm.machine import Machine


class Screen:
    def __init__(self, width: int, height: int, pixels: bytes) -> None:
        """`pixels`: three bytes each."""
        self.width, self.height, self.pixels = width, height, pixels

    def share(self, colour: str) -> float:
        """Of all pixels, how many are exactly `rrggbb`."""
        return self._counted[bytes.fromhex(colour)] / (self.width * self.height)

    def strip(self, height: int, share: float) -> bytes:
        """The pixels of the uppermost lines, from the left to a share of the width."""
        line, wanted = self.width * 3, int(self.width * share) * 3
        return b"".join(self.pixels[at : at + wanted] for at in range(0, height * line, line))

    def colours(self) -> str:
        """The most frequent ones, for people."""
        size = self.width * self.height
        found = [f"{pixel.hex()} {count / size:.0%}" for pixel, count in self._counted.most_common(8)]
        return f"{self.width}x{self.height}: {', '.join(found)}"

    @cached_property
    def _counted(self) -> Counter[bytes]:
        return Counter(self.pixels[at : at + 3] for at in range(0, len(self.pixels), 3))


def seen(machine: Machine) -> Screen:
    """Now."""
    path = machine.folder / "screen.ppm"
    machine.qmp("screendump", filename=str(path))
    kind, size, most, pixels = path.read_bytes().split(b"\n", 3)
    assert (kind, most) == (b"P6", b"255")
    width, height = map(int, size.split())
    return Screen(width, height, pixels)
