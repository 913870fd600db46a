"""Where things lie in a filer follows from where uploads of them are created."""

import pytest

from agent.upload.targets.http import Line, Wire
from agent.upload.targets.tus import filer
from agent.upload.targets.tus.protocol import Server


@pytest.mark.parametrize(
    ("root", "path"),
    [
        ("/.tus/buckets/clips", "/buckets/clips/a/b%20%E5%90%8D.mp4"),
        ("/.tus", "/a/b%20%E5%90%8D.mp4"),
        ("/behind/.tus/buckets/clips", "/behind/buckets/clips/a/b%20%E5%90%8D.mp4"),
        ("/.tus/city/.tus", "/city/.tus/a/b%20%E5%90%8D.mp4"),
    ],
)
def test_a_name_lies_where_its_upload_is_created_without_the_tus(root: str, path: str) -> None:
    server = Server(Wire(Line()), f"http://127.0.0.1:1{root}")
    assert filer.is_one(server.root)
    assert filer.Filer(server).path("a/b 名.mp4") == path
    assert filer.Filer(server).creates("a/b 名.mp4") == f"{root}/a/b%20%E5%90%8D.mp4"


@pytest.mark.parametrize("root", ["", "/files", "/files.tus/x", "/.tusd/files"])
def test_any_other_server_names_its_uploads_itself(root: str) -> None:
    assert not filer.is_one(root)
