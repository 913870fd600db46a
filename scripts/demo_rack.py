"""Recorders for a simulated rack: folders of real media, each clip's bytes unlike any other's.

A recorder's content depends on its arguments alone, so a test that fails can be run again.
"""

import os
import tempfile
import wave
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import yaml

MEDIA = Path(__file__).with_name("media")
FOLDER = "DCIM/100MEDIA"
FIRST_CLIP = datetime(2026, 1, 15, 8, 0, tzinfo=UTC)
BETWEEN_CLIPS = timedelta(minutes=10)
KINDS = ("mp4", "mp4", "jpg", "mp4", "wav", "mp4")  # by sequence, over and over
IMPORTANT = ("", "IMP", "", "", "", "_IMP")  # both spellings that recorders use
BLOCK = 1 << 20
LARGEST_WAV = 1 << 30  # the format ends at 4 GiB
LARGEST_COMMENT = 65_533  # bytes in one JPEG segment


def make_recorder(
    path: Path,
    *,
    number: str = "0000001",
    officer: str = "000001",
    clips: int = 6,
    size: int = 4 << 20,
    seed: int = 0,
) -> list[Path]:
    """A recorder at `path` (which must not exist) with `clips` files; returns them relative to it.

    Video and audio get `size` bytes each (at least what their container needs), photos up to 64 KiB.
    The folder appears at once and complete: it is made beside its parent, so that a `path` in a rack
    is a recorder docked.
    """
    with tempfile.TemporaryDirectory(prefix=".recorder-", dir=path.parent.parent) as beside:
        made = Path(beside) / number
        made.mkdir()
        volume = Random(f"{seed}/{number}").getrandbits(32)
        card = {"label": number, "fs_uuid": f"{volume >> 16:04X}-{volume & 0xFFFF:04X}", "fs_type": "exfat"}
        (made / ".recorder.yaml").write_text(yaml.safe_dump(card))
        files = record(made, range(1, clips + 1), number=number, officer=officer, size=size, seed=seed)
        made.rename(path)
    return files


def record(
    recorder: Path, sequences: Iterable[int], *, number: str, officer: str, size: int, seed: int = 0
) -> list[Path]:
    """More clips on a recorder that is not docked; returns them relative to it."""
    (recorder / FOLDER).mkdir(parents=True, exist_ok=True)
    made = []
    for sequence in sequences:
        at = FIRST_CLIP + sequence * BETWEEN_CLIPS
        turn = sequence % len(KINDS) - 1  # the first clip has sequence 1
        stem = f"{number}_{officer}_{at:%Y%m%d%H%M%S}_{sequence:04}{IMPORTANT[turn]}"
        file = recorder / FOLDER / f"{stem}.{KINDS[turn]}"
        WRITERS[KINDS[turn]](file, size, Random(f"{seed}/{number}/{sequence}"))
        os.utime(file, (at.timestamp(), at.timestamp()))
        made.append(file.relative_to(recorder))
    return made


def _blocks(noise: Random, size: int) -> Iterable[bytes]:
    for at in range(0, size, BLOCK):
        yield noise.randbytes(min(BLOCK, size - at))


def write_mp4(file: Path, size: int, noise: Random) -> None:
    """The sample and a `free` box of noise, which players skip; its header holds a 64-bit size."""
    sample = (MEDIA / "sample.mp4").read_bytes()
    box = max(size - len(sample), 32)
    with file.open("xb") as out:
        out.write(sample + (1).to_bytes(4) + b"free" + box.to_bytes(8))
        out.writelines(_blocks(noise, box - 16))


def write_wav(file: Path, size: int, noise: Random) -> None:
    """Noise, to be heard: 16 bit, mono, 16 kHz."""
    frames = max(min(size, LARGEST_WAV) - 44, 32) // 2  # the header has 44 bytes
    with file.open("xb") as out, wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.setnframes(frames)
        for block in _blocks(noise, frames * 2):
            sound.writeframesraw(block)


def write_jpg(file: Path, size: int, noise: Random) -> None:
    """The sample with a comment of noise after its first marker."""
    sample = (MEDIA / "sample.jpg").read_bytes()
    comment = noise.randbytes(min(max(size - len(sample) - 4, 32), LARGEST_COMMENT))
    with file.open("xb") as out:
        out.write(sample[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment + sample[2:])


WRITERS = {"mp4": write_mp4, "wav": write_wav, "jpg": write_jpg}
