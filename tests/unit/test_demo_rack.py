"""The demo's recorders hold real media: a container parser accepts every clip."""

import hashlib
import subprocess
import wave
from pathlib import Path

import pytest

from scripts.demo_rack import KINDS, make_recorder
from tests.here import require


@pytest.fixture
def recorder(tmp_path: Path) -> Path:
    path = tmp_path / "rack" / "slot-01"
    path.parent.mkdir()
    make_recorder(path, clips=12, size=100_000)
    return path


def clips(recorder: Path) -> list[Path]:
    return sorted(recorder.glob("DCIM/*/*"))


def digests(recorder: Path) -> list[str]:
    return [hashlib.sha256(clip.read_bytes()).hexdigest() for clip in clips(recorder)]


def boxes(data: bytes) -> list[str]:
    """The names of the boxes at the top of an MP4; ValueError when they do not fill it exactly."""
    names, at = [], 0
    while at < len(data):
        size, name = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8].decode("ascii")
        names.append(name)
        at += int.from_bytes(data[at + 8 : at + 16]) if size == 1 else max(size, 8)
    if at != len(data):
        raise ValueError(f"{at} != {len(data)}")
    return names


def test_every_kind_of_clip_is_there_and_has_the_wanted_size(recorder: Path) -> None:
    kinds = [clip.suffix[1:] for clip in clips(recorder)]
    assert sorted(kinds) == sorted(KINDS * 2)
    for clip in clips(recorder):
        assert clip.suffix == ".jpg" or clip.stat().st_size == 100_000


def test_an_mp4_is_whole(recorder: Path) -> None:
    for clip in recorder.rglob("*.mp4"):
        assert boxes(clip.read_bytes()) == ["ftyp", "moov", "free", "mdat", "free"]


def test_a_wav_plays_to_its_end(recorder: Path) -> None:
    for clip in recorder.rglob("*.wav"):
        with wave.open(str(clip)) as sound:
            assert len(sound.readframes(sound.getnframes())) == 100_000 - 44


def test_ffprobe_accepts_every_clip(recorder: Path) -> None:
    require("ffprobe")
    for clip in clips(recorder):
        ran = subprocess.run(
            ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", clip],
            capture_output=True,
            text=True,
            check=True,
        )
        expected = {".mp4": ["h264", "aac"], ".jpg": ["mjpeg"], ".wav": ["pcm_s16le"]}[clip.suffix]
        assert (ran.stdout.split(), ran.stderr) == (expected, "")


def test_no_two_clips_have_the_same_content(recorder: Path, tmp_path: Path) -> None:
    make_recorder(tmp_path / "rack" / "slot-02", number="0000002", clips=12, size=100_000)
    all_digests = digests(recorder) + digests(tmp_path / "rack" / "slot-02")
    assert len(set(all_digests)) == 24


def test_the_same_arguments_make_the_same_recorder(recorder: Path, tmp_path: Path) -> None:
    again = tmp_path / "rack" / "again"
    make_recorder(again, clips=12, size=100_000)
    assert digests(again) == digests(recorder)
    assert [c.name for c in clips(again)] == [c.name for c in clips(recorder)]
    assert (again / ".recorder.yaml").read_text() == (recorder / ".recorder.yaml").read_text()


def test_nothing_but_recorders_lies_in_the_rack(recorder: Path) -> None:
    assert list(recorder.parent.iterdir()) == [recorder]
    assert list(recorder.parent.parent.iterdir()) == [recorder.parent]
