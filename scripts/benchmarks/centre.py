"""From the store to a bucket: a long clip, several at once, an endless one, and a thousand short ones."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from scripts.benchmarks import clients
from scripts.benchmarks.cargo import DAY, Cargo, carried, holes, noise
from scripts.benchmarks.clients import Ran
from scripts.benchmarks.machine import scratch, spent
from scripts.benchmarks.measure import Bench, BenchError, Contestant, Figure, ratios, seconds_note
from scripts.benchmarks.seaweed import Seaweed, running
from scripts.benchmarks.ways import S3, Peer, Tus, Way, split

_MIB = 1 << 20
_FOLDER = f"clips/{DAY}"  # in a bucket
_GROWTH = 4  # MiB
_BYTES_ONLY = {"read_back_percent": 0}  # else chance would have one of a hundred clips cross the line twice


class _Race:
    """Clients that bring the same files to one server, each time to a bucket that is empty."""

    def __init__(self, way: Way, cargo: list[Cargo]) -> None:
        self._weed, self._way, self.cargo = way.weed, way, cargo
        self.cpu: dict[str, list[float]] = defaultdict(list)
        self.memory: dict[str, list[float]] = defaultdict(list)  # MiB, at most
        self.growth: list[float] = []  # MiB of ours, over what it was before
        self.server: dict[str, list[float]] = defaultdict(list)  # seconds of its CPU

    def entrant(self, name: str, run: Callable[[Path, str], Ran]) -> Contestant:
        """`run` takes an empty folder and the name of the bucket."""

        def compete(folder: Path) -> float:
            with self._weed.empty_bucket() as bucket:
                before = spent(self._weed.pid).cpu
                ran = run(folder, bucket)
                self.server[name].append(spent(self._weed.pid).cpu - before)
                self._look(bucket)
            self.cpu[name].append(ran.cpu)
            self.memory[name].append(ran.memory / _MIB)
            return ran.seconds

        return compete

    def ours(self, upload: Mapping[str, object], folder: Path, bucket: str) -> Ran:
        """`upload`: that section of the configuration."""
        told = carried(folder, self.cargo, self._way.target(bucket, folder), upload)
        self.growth.append((told["peak"] - told["idle"]) / _MIB)
        return Ran(told["seconds"], told["cpu"], told["peak"])

    def _look(self, bucket: str) -> None:
        """Whether all of it is there, as large as it should be."""
        sizes = sorted(self._weed.sizes(bucket, _FOLDER))
        if sizes != sorted(one.clip["size"] for one in self.cargo):
            raise BenchError(f"{len(sizes)} of {len(self.cargo)} files are in the bucket, or of other sizes")

    def peer(self, peer: Peer, folder: Path, bucket: str) -> Ran:
        (one,) = self.cargo
        return peer(bucket, f"{_FOLDER}/{one.file.name}", one)

    def curl(self, parts: list[Path], folder: Path, bucket: str) -> Ran:
        (one,) = self.cargo
        return self._way.by_curl(bucket, f"{_FOLDER}/{one.file.name}", one, parts)

    def rclone(self, command: list[str], folder: Path, bucket: str) -> Ran:
        part = self.cargo[0].clip["part_size"]
        return clients.rclone(self._weed.url, [*command, f"centre:{bucket}/{_FOLDER}"], part)


def s3(bench: Bench) -> Iterable[Figure]:
    return _long_clip(bench, "s3", S3)


def tus(bench: Bench) -> Iterable[Figure]:
    """The server compares nothing: the station reads back what it sent, and nobody else does."""
    return _long_clip(bench, "tus", Tus)


def _long_clip(bench: Bench, name: str, to: Callable[[Seaweed], Way]) -> Iterable[Figure]:
    with _server(bench) as weed, scratch(bench.folder, "source") as source:
        one = noise(source / "clip.mp4", (24 << 20) if bench.quick else (1 << 30))
        way = to(weed)
        race, peers = _Race(way, [one]), way.peers(bench.libraries)
        entrants = {
            "station": race.entrant("station", partial(race.ours, _BYTES_ONLY)),
            "curl": race.entrant("curl", partial(race.curl, split(one, source / "parts"))),
        }
        for who, peer in peers.items():
            if peer:
                entrants[who] = race.entrant(who, partial(race.peer, peer))
        seconds = bench.contest(name, entrants)
    note = "; ".join(filter(None, (seconds_note(seconds), way.note)))
    for who, limit in {"curl": 1.1, **dict.fromkeys(peers, 1.0)}.items():
        runs = ratios(seconds["station"], seconds[who]) if who in seconds else []
        yield Figure(name, f"1 GiB: station / {who}", "×", runs, limit, note=note)
    yield Figure(name, "station: CPU", "s", race.cpu["station"], 1.0)
    yield Figure(name, "station: RSS over idle", "MiB", race.growth, _GROWTH)
    for who in seconds:
        if who != "station":
            yield Figure(name, f"{who}: CPU", "s", race.cpu[who])
        yield Figure(name, f"{who}: RSS peak", "MiB", race.memory[who])
        yield Figure(name, f"{who}: CPU of the server", "s", race.server[who])


def memory(bench: Bench) -> Iterable[Figure]:
    several, endless = (12 << 20, 96 << 20) if bench.quick else (256 << 20, 8 << 30)
    with _server(bench) as weed, scratch(bench.folder, "source") as source:
        four = [noise(source / f"clip-{number}.mp4", several) for number in range(4)]
        race = _Race(S3(weed), four)
        run = partial(race.ours, {**_BYTES_ONLY, "uploaders": 4})
        bench.contest("s3-memory", {"four": race.entrant("four", run)})
        yield Figure("s3-memory", "4 × 256 MiB at once: RSS over idle", "MiB", race.growth, _GROWTH)
        race = _Race(S3(weed), [holes(source / "endless.mp4", endless)])
        bench.cold.drop()
        with scratch(bench.folder, "endless") as folder:
            seconds = race.entrant("endless", partial(race.ours, _BYTES_ONLY))(folder)
        note = f"{seconds:.1f} s, CPU {race.cpu['endless'][0]:.1f} s"
        yield Figure("s3-memory", "8 GiB of zeros: RSS over idle", "MiB", race.growth, _GROWTH, note=note)


def short_clips(bench: Bench) -> Iterable[Figure]:
    """Both send two at once; the station also sends a manifest for each, and asks what arrived."""
    files = 20 if bench.quick else 1000
    with _server(bench) as weed, scratch(bench.folder, "source") as source:
        many = [noise(source / f"clip-{number:04}.mp4", 100_000) for number in range(files)]
        race = _Race(S3(weed), many)
        entrants = {"station": race.entrant("station", partial(race.ours, {"uploaders": 2}))}
        if clients.has_rclone():
            command = ["copy", str(source), "--transfers", "2", "--checkers", "2"]
            entrants["rclone"] = race.entrant("rclone", partial(race.rclone, command))
        seconds = bench.contest("s3-small", entrants)
    note = seconds_note(seconds)
    runs = ratios(seconds["station"], seconds["rclone"]) if "rclone" in seconds else []
    yield Figure("s3-small", "1,000 × 100 KB: station / rclone", "×", runs, 2, note=note)
    for who in seconds:
        yield Figure("s3-small", f"{who}: CPU", "s", race.cpu[who])
        yield Figure("s3-small", f"{who}: CPU of the server", "s", race.server[who])
    yield Figure("s3-small", "station: RSS over idle", "MiB", race.growth)


@contextmanager
def _server(bench: Bench) -> Iterator[Seaweed]:
    with scratch(bench.folder, "centre") as folder, running(folder) as weed:
        yield weed
