"""Central stores: one section for each kind."""

import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from agent.config.kinds import AbsolutePath, Section, Text

_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+", re.ASCII)
_CREDENTIAL = re.compile(r"/.+|[A-Za-z0-9._-]{1,64}", re.ASCII)


def _server(url: str) -> str:
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        raise ValueError("should be an address such as `https://s3.example.org:8443`")
    if "@" in parts.netloc:
        raise ValueError("may hold no user and no password: they belong into a file of their own")
    if not _HOST.fullmatch(parts.hostname or ""):
        raise ValueError("names a host with letters that none can have: write others than a-z as `xn--…`")
    if parts.query or parts.fragment:
        raise ValueError("may have nothing behind its path: no `?`, no `#`")
    return url.rstrip("/")


def _credential(name: str) -> str:
    if not _CREDENTIAL.fullmatch(name):
        raise ValueError("should be the absolute path of a file, or the name of a systemd credential")
    return name


Server = Annotated[Text, AfterValidator(_server)]


class FolderTarget(Section):
    kind: Literal["folder"] = Field(description="A folder, for instance on a mounted share.")
    path: AbsolutePath = Field(description="The folder that clips are stored below.")
    local: bool = Field(
        default=False,
        description="The folder lies on this machine's own disk; for demos and tests. Otherwise one that"
        " does is a share that is not mounted.",
    )


class _HttpTarget(Section):
    """What every target behind HTTP has."""

    url: Server = Field(description="Address of the server.")
    plaintext: bool = Field(
        default=False, description="The address may be `http://`: everybody on the way can read the clips."
    )
    ca: AbsolutePath | None = Field(
        default=None,
        description="File with the only authorities from which its certificate may come.",
    )
    certificate: AbsolutePath | None = Field(default=None, description="This station's certificate.")
    certificate_key: AbsolutePath | None = Field(default=None, description="The key of `certificate`.")
    proxy: Server | None = Field(default=None, description="Address of an HTTP proxy on the way.")

    @model_validator(mode="after")
    def _secure(self) -> Self:
        if self.url.startswith("http:") and not self.plaintext:
            raise ValueError("has an `http://` address in `url`, and no `plaintext: true` that allows it")
        if (self.certificate is None) != (self.certificate_key is None):
            raise ValueError("needs both `certificate` and `certificate_key`, or neither")
        return self


class S3Target(_HttpTarget):
    kind: Literal["s3"] = Field(description="A bucket of an S3 server.")
    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] = Field(
        description="The bucket's name. It holds clips of stations and nothing else."
    )
    lock: Literal["governance", "compliance", "none"] = Field(
        default="governance",
        description="How clips are locked for as long as they must be kept, in a bucket with object lock.",
    )
    region: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = Field(
        default="us-east-1", description="The server's region; most servers have this one."
    )
    credentials: Annotated[Text, AfterValidator(_credential)] = Field(
        description="File with the keys, as the AWS tools write it; or the name of a systemd credential."
    )


class TusTarget(_HttpTarget):
    kind: Literal["tus"] = Field(description="A server that speaks tus 1.0.")


Target = Annotated[FolderTarget | S3Target | TusTarget, Field(discriminator="kind")]
