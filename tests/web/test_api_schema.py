"""Whatever is asked of the published interface: it answers as its description says, never with a fault of its
own, never late, never without end."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode, checks
from schemathesis.core.result import Ok

from agent.access.roles import Role
from agent.catalog import intake
from agent.model import Identity, SourceClip
from tests.web.api_routes import ROUTES
from tests.web.outside import Outsider, account, certificate
from tests.web.station import Station, collecting

_LARGEST = 4 << 20  # bytes of an answer
_LATEST = 5.0  # seconds
_CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    folder = tmp_path_factory.mktemp("schema")
    with pytest.MonkeyPatch.context() as patch, Station(folder, lan=certificate(folder)) as running:
        patch.setattr("agent.web.rate._PER_SECOND", 1e6)  # what is asked here is a flood
        running.slots = [collecting()]
        who = Identity("R1", True, "F", "P1")

        def work(tx: Any) -> None:
            docking = intake.begin_docking(tx, "1", who)
            intake.see(tx, docking, who, [SourceClip(f"DCIM/{n}.mp4", 9, n) for n in range(30)])

        running.catalog.write(work)
        account(running, "custodian", Role.CUSTODIAN, "all")
        account(running, "administrator", Role.ADMINISTRATOR)
        yield running


@pytest.fixture(scope="module")
def operations(station: Station) -> dict[tuple[str, str], Any]:
    schema = schemathesis.openapi.from_dict(station.get_local("/api/v1/openapi.json").json())
    found = [one.ok() for one in schema.get_all_operations() if isinstance(one, Ok)]
    return {(one.method.upper(), one.path): one for one in found}


#: These end the session that is used here, or lock its account out: they have tests of their own.
_SESSION = {("POST", "/session"), ("DELETE", "/session")}


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_a_route_answers_as_it_is_described(
    station: Station,
    operations: dict[tuple[str, str], Any],
    route: tuple[str, str],
    mode: GenerationMode,
) -> None:
    """Also what its description does not allow."""

    @given(case=operations[route].as_strategy(generation_mode=mode))
    @settings(
        max_examples=20,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    def asked(case: Any) -> None:
        for who in ("custodian", "administrator"):
            browser = _logged_in(station, who)
            answer = case.call(
                base_url=f"{browser.origin}/api/v1",
                headers={"Cookie": browser.cookie, "Origin": browser.origin},
                verify=str(browser._trusted),
                timeout=_LATEST,
            )
            assert len(answer.content) < _LARGEST
            case.validate_response(answer, checks=_CHECKS)

    asked()


def test_every_route_is_asked(operations: dict[tuple[str, str], Any]) -> None:
    assert set(operations) - _SESSION == set(ROUTES)


_browsers: dict[tuple[int, str], Outsider] = {}


def _logged_in(station: Station, who: str) -> Outsider:
    key = (id(station), who)
    if key not in _browsers:
        browser = Outsider(station, station.lan[0] if station.lan else None)  # type: ignore[arg-type]
        assert browser.login(who).status == 200
        _browsers[key] = browser
    return _browsers[key]
