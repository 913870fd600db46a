"""Every kind of bad input, with the file, the line and the words that help."""

import os
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from agent.config import load
from agent.config.documents import LARGEST_FILE, Mark
from agent.config.faults import explain
from agent.errors import ConfigError


@pytest.fixture
def station(tmp_path: Path) -> Path:
    return tmp_path / "station.yaml"


def faults(station: Path, text: str | bytes | None = None) -> list[str]:
    """The faults, each as `file-name:line: message`."""
    if text is not None:
        station.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load(station)
    return [fault.removeprefix(f"{station.parent}/") for fault in caught.value.faults]


S3 = "targets:\n  c:\n    kind: s3\n    bucket: clips\n    credentials: /k\n    url: "

CASES = {
    "a period under its former name and the new one": (
        "retention:\n  classes: {ordinary: {centre: 9 days}}\n  ordinary: 400 days\n",
        3,
        "`retention.ordinary` is the former name of `retention.classes.ordinary.centre`, which is said as"
        " well: take this one out",
    ),
    "no period under a former name": (
        "retention:\n  important: 5 parsecs\n",
        2,
        "`retention.important` is the former name of `retention.classes.important.centre`, and should be",
    ),
    "a former name beside classes that are none": (
        "retention: {ordinary: 9 days, classes: [1]}\n",
        1,
        "`retention.classes` should be `key: value` lines, not a list",
    ),
    "unknown key": ("dock:\n  stuck_aftre: 1 s\n", 2, "`stuck_aftre`: did you mean `stuck_after`?"),
    "unknown section": ("uplaod: {}\n", 1, "`uplaod`: did you mean `upload`?"),
    "nothing like it": ("upload: {zzz: 1}\n", 1, "`zzz` is not known here; known are `uploaders`"),
    "no port for a scanner": (
        "dock:\n  input_ports:\n    scanner: '1-4'\n",
        3,
        "`dock.input_ports.scanner` should be a USB port such as `pci-0000:00:14.0-usb-0:4`",
    ),
    "no name for a port": (
        "dock:\n  input_ports:\n    a b: pci-0000:00:14.0-usb-0:4\n",
        3,
        "should be a short name such as `scanner`",
    ),
    "one port for a slot and for input": (
        "dock:\n  slots: {A: {port: 'pci-0-usb-0:4'}}\n  input_ports: {scanner: 'pci-0-usb-0:4:1.0'}\n",
        1,
        "`dock` has the port of `slots.A` in `input_ports` too",
    ),
    "unknown key of a slot": (
        "dock:\n  slots:\n    A: {port: x, raeder: true}\n",
        3,
        "did you mean `reader`?",
    ),
    "unknown key of a target": ("targets:\n  c:\n    kind: folder\n    path: /x\n    pth: 1\n", 5, "`path`?"),
    "list for a section": ("\ndock: [1]\n", 2, "`dock` should be `key: value` lines, not a list"),
    "list for a file": ("# c\n- a\n", 2, "should be `key: value` lines"),
    "text for a section": ("web: listen:80\n", 1, "is the space after a colon missing?"),
    "text for a file": ("web:80\n", 1, "is the space after a colon missing?"),
    "list for a value": ("upload:\n  uploaders: [1]\n", 2, "should be a whole number, not a list"),
    "section for a value": ("web: {listen: {a: b}}\n", 1, "should be host:port"),
    "no value": ("store:\n  path:\n", 2, "but there is no value"),
    "size": ("store: {reserve: 1 XB}\n", 1, "should be a size such as `512 MiB`"),
    "duration without unit": ("dock: {stuck_after: 60}\n", 1, "should be a duration such as `60 s`"),
    "duration of nothing": ("dock: {stuck_after: 0 s}\n", 1, "should be more than 0"),
    "too many": ("upload:\n  uploaders: 5\n", 2, "`upload.uploaders` should be at most 4"),
    "a speed that is a size": ("upload: {bandwidth: 20 MiB}\n", 1, "should be a speed such as `20 MiB/s`"),
    "too slow": ("upload: {bandwidth: 1 KiB/s}\n", 1, "`upload.bandwidth` should be at least 64 KiB/s"),
    "hours that are none": ("upload: {hours: 7-19}\n", 1, 'should be hours of a day such as `"19:00-07:00"`'),
    "hours that never end": ('upload: {hours: "07:00-07:00"}\n', 1, "leave it out for the whole day"),
    "too few": ("ingest: {copies: 0}\n", 1, "`ingest.copies` should be at least 1"),
    "fraction": ("ingest: {copies: 1.5}\n", 1, "should be a whole number"),
    "language": ("station: {language: fr}\n", 1, "should be 'zh' or 'en'"),
    "quoted switch": ('ingest: {sm3: "yes"}\n', 1, "should be `true` or `false`"),
    "relative path": ("store: {path: data}\n", 1, "should be an absolute path"),
    "home path": ("store: {path: ~/data}\n", 1, "should be an absolute path"),
    "socket path": (f"web: {{socket: /{'x' * 107}}}\n", 1, "at most 107 bytes"),
    "listen without port": ("web: {listen: localhost}\n", 1, "should be host:port"),
    "listen to everybody": ("web: {listen: '0.0.0.0:80'}\n", 1, "would be open to the network, without TLS"),
    "lan without certificate": (
        "web: {lan: '0.0.0.0:8443'}\n",
        1,
        "needs `certificate` and `certificate_key`",
    ),
    "listen beyond ports": ("web: {listen: 'localhost:65536'}\n", 1, "should be host:port"),
    "udev tag": ("dock: {tag: 'a b'}\n", 1, "`dock.tag`"),
    "slash in a slot": ("dock:\n  slots:\n    a/b: {port: x}\n", 3, "`dock.slots.a/b` is no name for a slot"),
    "dots as a slot": ("dock:\n  slots:\n    ..: {port: x}\n", 3, "is no name for a slot"),
    "control character in a slot": ('dock:\n  slots:\n    "a\\nb": {port: x}\n', 3, "control characters"),
    "right-to-left mark in a slot": (
        'dock:\n  slots:\n    "a\\u202eb": {port: x}\n',
        3,
        "control characters",
    ),
    "long slot": (f"dock:\n  slots:\n    {'x' * 33}: {{port: x}}\n", 3, "at most 32 characters"),
    "empty slot name": ('dock:\n  slots:\n    "": {port: x}\n', 3, "a key should be one plain word"),
    "slot without port": (
        "dock:\n  slots:\n    A:\n      reader: true\n",
        3,
        "`dock.slots.A.port` is missing",
    ),
    "empty slot": ("dock:\n  slots:\n    A:\n", 3, "`dock.slots.A.port` is missing"),
    "port twice": (
        "dock:\n  slots:\n    A: {port: x}\n    B: {port: x}\n",
        4,
        "is the port of slot `A` already",
    ),
    "target without kind": ("targets:\n  c: {path: /x}\n", 2, "`targets.c.kind` is missing"),
    "target of another kind": ("targets:\n  c: {kind: ftp, path: /x}\n", 2, "should be 'folder'"),
    "host in other letters": (f"{S3}https://bücher.example\n", 6, "letters that none can have"),
    "host with a space": (f"{S3}https://a b.example/x\n", 6, "letters that none can have"),
    "region in other letters": (f"{S3}https://a.example\n    region: é\n", 7, "`targets.c.region`"),
    "key twice": ("web: {}\nstore: {}\nweb: {}\n", 3, "`web` stands here twice, first in line 1"),
    "key twice, quoted": ("web: {}\n'web': {}\n", 2, "stands here twice"),
    "tab": ("store:\n\tpath: /x\n", 2, "indent with spaces, not with tabs"),
    "unclosed": ("store: {path: /x\n", 2, "expected ',' or '}'"),
    "colon in a value": ("station:\n  name: a: b\n", 2, "in quotes"),
    "two documents": ("web: {}\n---\nweb: {}\n", 2, "one file is one document"),
    "alias": ("store: {path: *x}\n", 1, "aliases (*) are not accepted"),
    "anchor": ("store: &x\n  path: /x\n", 1, "anchors (&)"),
    "merge key": ("store:\n  <<: {path: /x}\n", 2, "a key should be one plain word"),
    "list as a key": ("? [a]\n: b\n", 1, "a key should be one plain word"),
    "python tag": ("store: !!python/object/apply:os.system [x]\n", 1, "is not accepted"),
    "tag on text": ("store: {path: !x /x}\n", 1, "is not accepted"),
    "too deep": ("[" * 5000, 1, "is nested too deeply"),
    "no, in Norwegian": ("station: {name: no}\n", 1, "YAML reads `no` as false: put it in quotes"),
    "name of digits": ("station: {name: 110}\n", 1, "YAML reads `110` as a number: put it in quotes"),
    "octal": ("station: {name: 007}\n", 1, "YAML reads `007` as another number: put it in quotes"),
    "sixty": ("dock: {stuck_after: 1:30}\n", 1, "YAML reads `1:30` as another number"),
    "hex": ("upload: {uploaders: 0x2}\n", 1, "else write it as a plain decimal number"),
    "infinity": ("upload: {uploaders: .inf}\n", 1, "another number"),
    "very long number": (f"upload: {{uploaders: {'9' * 5000}}}\n", 1, "another number"),
    "date": ("station: {name: 2024-01-01}\n", 1, "YAML reads `2024-01-01` as a date"),
    "null byte": ("web: {}\nstation: {name: a\0b}\n", 2, "has the control character 0x00"),
    "surrogate": ('station: {name: "\\ud800"}\n', 1, "`station.name`"),
    "code point beyond Unicode": ('station: {name: "\\UFFFFFFFF"}\n', 1, "cannot be read"),
}


@pytest.mark.parametrize(("text", "line", "words"), CASES.values(), ids=CASES)
def test_bad_input_is_refused_with_file_line_and_advice(
    station: Path, text: str, line: int, words: str
) -> None:
    (fault,) = faults(station, text)
    assert fault.startswith(f"station.yaml:{line}: ")
    assert words in fault
    assert fault.isprintable()


def test_a_file_that_is_not_utf8_is_refused_with_the_line(station: Path) -> None:
    assert faults(station, "web: {}\nstation: {name: 采集站}\n".encode("gb18030")) == [
        "station.yaml:2: is not UTF-8 text: save the file as UTF-8"
    ]


def test_a_file_larger_than_one_mebibyte_is_refused(station: Path) -> None:
    station.write_bytes(b"#" * LARGEST_FILE)
    load(station)
    assert faults(station, b"#" * (LARGEST_FILE + 1)) == [
        "station.yaml:1: cannot be read: it is larger than 1 MiB"
    ]


def test_a_billion_laughs_are_refused_before_they_expand(station: Path) -> None:
    lines = ["a0: &a0 [lol, lol]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    (fault,) = faults(station, "\n".join(lines))
    assert fault.startswith("station.yaml:1: anchors (&)")


def test_a_fifo_a_folder_and_links_to_nowhere_are_faults_and_nothing_hangs(station: Path) -> None:
    conf_d = station.parent / "conf.d"
    conf_d.mkdir()
    os.mkfifo(conf_d / "1.yaml")
    (conf_d / "2.yaml").mkdir()
    (conf_d / "3.yaml").symlink_to("nowhere")
    (conf_d / "4.yaml").symlink_to("4.yaml")
    station.symlink_to("nowhere")
    assert [fault.split(": ", 1)[0] for fault in faults(station)] == [
        "station.yaml:1",
        *(f"conf.d/{n}.yaml:1" for n in range(1, 5)),
    ]


def test_a_conf_d_that_is_no_folder_is_a_fault(station: Path) -> None:
    (station.parent / "conf.d").write_text("")
    assert faults(station) == ["conf.d:1: cannot be read: Not a directory"]


def test_a_file_that_would_silently_not_be_read_is_a_fault(station: Path) -> None:
    (station.parent / "conf.d").mkdir()
    (station.parent / "conf.d" / "site.yml").write_text("web: {}")
    assert faults(station) == ["conf.d/site.yml:1: is not read: rename it to end in `.yaml`"]


def test_all_faults_of_all_files_are_reported_at_once_in_order(station: Path) -> None:
    conf_d = station.parent / "conf.d"
    conf_d.mkdir()
    (conf_d / "20.yaml").write_text("upload: {uploaders: 2}\ndayz: 1\nstore:\n  reserve: 1 XB\n")
    (conf_d / "10.yaml").write_text("a: [\n")
    text = (
        "dayz: 1\n"
        "upload: {uploaders: 9}\n"  # hidden by 20.yaml, and a fault all the same
        "dock:\n"
        "  slots:\n"
        "    A: {port: x}\n"
        "    B: {port: x}\n"
        "    C: {port: x, reader: 1}\n"
        "    D: {}\n"
        "dock: {tag: 010}\n"
    )
    assert [fault.split(": ", 1)[0] for fault in faults(station, text)] == [
        *(f"station.yaml:{line}" for line in (1, 2, 6, 7, 7, 8, 9, 9)),
        "conf.d/10.yaml:2",
        *(f"conf.d/20.yaml:{line}" for line in (2, 4)),
    ]


def test_a_fault_names_the_layer_that_said_it(station: Path) -> None:
    (station.parent / "conf.d").mkdir()
    (station.parent / "conf.d" / "a.yaml").write_text("\n\ndock:\n  slots:\n    B: {port: x}\n")
    assert faults(station, "dock: {slots: {A: {port: x}}}") == [
        "conf.d/a.yaml:5: `dock.slots.B.port` is the port of slot `A` already: one slot per port"
    ]


def test_a_fault_in_a_name_of_a_file_stays_on_its_line(tmp_path: Path) -> None:
    (tmp_path / "a\nb").mkdir()
    (fault,) = faults(tmp_path / "a\nb" / "station.yaml", "x: 1")
    assert "a\\nb/station.yaml:1: " in fault
    assert "\n" not in fault


yaml_like = st.text(st.sampled_from("ab:-[]{}#&*!|>'\"%@`,? \n\t0189.~<=\\xu\ufeff\x85é"), max_size=60)


@given(st.one_of(yaml_like.map(str.encode), st.binary(max_size=60)))
def test_no_content_of_a_file_raises_anything_but_faults(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    station = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    station.write_bytes(content)
    try:
        load(station)
    except ConfigError as error:
        assert error.faults
        assert all(fault.startswith(f"{station}:") and fault.isprintable() for fault in error.faults)


class Folder(BaseModel, extra="forbid"):
    kind: Literal["folder"]
    path: str


class Bucket(BaseModel, extra="forbid"):
    kind: Literal["s3"]
    bucket: str


class Stores(BaseModel):
    targets: dict[str, Annotated[Folder | Bucket, Field(discriminator="kind")]]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"kind": "s3", "bucket": 1}, "`targets.c.bucket` should be text"),
        ({"kind": "s3", "bucket": "b", "bukket": 1}, "`bukket`: did you mean `bucket`?"),
        ({"kind": "s3", "bucket": "b", "s3": 1}, "`s3` is not known here; known are `kind`, `bucket`"),
        ({"bucket": "b"}, "`targets.c.kind` is missing"),
        ({"kind": "ftp"}, "`targets.c.kind` should be 'folder', 's3'"),
    ],
)
def test_targets_of_several_kinds_are_explained_by_their_own_kind(
    target: dict[str, object], message: str
) -> None:
    marks: dict[tuple[str | int, ...], Mark] = {("targets",): Mark(Path("f"), 1)}
    marks[("targets", "c")] = Mark(Path("f"), 2)
    marks |= {("targets", "c", key): Mark(Path("f"), 3) for key in target}
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Stores).validate_python({"targets": {"c": target}})
    (fault,) = [fault for error in caught.value.errors() for fault in explain(error, Stores, marks)]
    assert fault.message == message
