"""Where the pages and the published interface can be reached."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from agent.config.kinds import AbsolutePath, Section

_SOCKET_PATH_LIMIT = 107  # bytes: sun_path of struct sockaddr_un, less its final NUL
_LISTEN = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})", re.ASCII)


class Place(NamedTuple):
    host: str  # without the brackets of an IPv6 address
    port: int  # 0: any free one


def _socket_path(path: Path) -> Path:
    if len(bytes(path)) > _SOCKET_PATH_LIMIT:
        raise ValueError(f"is too long for a socket: at most {_SOCKET_PATH_LIMIT} bytes")
    return path


def _listen(value: object) -> str:
    found = _LISTEN.fullmatch(value) if isinstance(value, str) else None
    if found is None or int(found[2]) > 65535:
        raise ValueError("should be host:port such as `127.0.0.1:8080` or `[::1]:8080`")
    return found[0]


def _loopback(value: str) -> str:
    host = place(value).host
    try:
        inside = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise ValueError("would be open to the network, without TLS: give that address to `web.lan`")
    return value


def place(listen: str) -> Place:
    host, _, port = listen.rpartition(":")
    return Place(host.strip("[]"), int(port))


Listen = Annotated[str, BeforeValidator(_listen), WithJsonSchema({"type": "string"})]


class WebConfig(Section):
    listen: Annotated[Listen, AfterValidator(_loopback)] = Field(
        default="127.0.0.1:8080",
        description="Where the screen at the rack finds its page: an address of this machine itself. Port 0"
        " is any free one.",
    )
    lan: Listen | None = Field(
        default=None,
        description="Where everybody else comes in, over TLS, such as `0.0.0.0:8443`. Default: nobody does.",
    )
    certificate: AbsolutePath | None = Field(
        default=None, description="The certificate that `lan` shows, with those between it and the authority."
    )
    certificate_key: AbsolutePath | None = Field(default=None, description="The key of `certificate`.")
    socket: Annotated[AbsolutePath, AfterValidator(_socket_path)] = Field(
        default=Path("/run/recorder-station/agent.sock"), description="The Unix socket that commands talk to."
    )

    @model_validator(mode="after")
    def _secure(self) -> Self:
        if self.lan is not None and (self.certificate is None or self.certificate_key is None):
            raise ValueError("has an address in `lan`, which needs `certificate` and `certificate_key`")
        return self
