"""Every route of the published interface, and whom it is for."""

from agent.access.roles import Role

O, C, R, I, A, M = *(role.value for role in Role), "machine"  # noqa: E741
EVERYBODY = {O, C, R, I, A, M}
PEOPLE = {O, C, R, I, A}

#: (method, path, body) → for all others it is forbidden, and for who says nothing it is hidden.
MATRIX: dict[tuple[str, str, str], set[str]] = {
    ("GET", "/status", ""): EVERYBODY,
    ("GET", "/slots", ""): EVERYBODY,
    ("GET", "/slots/1", ""): EVERYBODY,
    ("GET", "/issues", ""): EVERYBODY,
    ("GET", "/session", ""): EVERYBODY,
    ("GET", "/clips", ""): PEOPLE,
    ("GET", "/clips?officer=P1", ""): {O, C, R, I},
    ("GET", "/clips?recorder=R1", ""): {O, C, R, I},
    ("GET", "/clips?case=A", ""): {O, C, R, I},
    ("GET", "/clips/{clip}", ""): PEOPLE,
    ("GET", "/clips/{clip}/story", ""): {C, R, I},
    ("POST", "/clips/{clip}/views", "{}"): {C, R, I},
    ("GET", "/views/SECRET", ""): {C, R, I},
    ("GET", "/handin?day=2026-11-25", ""): {O, C, R, I},
    ("GET", "/findings", ""): {O, C, R, I},
    ("GET", "/clocks", ""): {O, C, R, I},
    ("GET", "/dockings", ""): PEOPLE,
    ("GET", "/dockings?recorder=R1", ""): {O, C, R, I},
    ("GET", "/dockings/{docking}/receipt", ""): {O, C, R, I},
    ("GET", "/recorders", ""): {O, C, R, I},
    ("GET", "/holds", ""): {C, R, I, A},
    ("GET", "/targets", ""): {I, A},
    ("GET", "/configuration", ""): {I, A},
    ("GET", "/log/head", ""): {C, I, A},
    ("POST", "/labels", '{"clips": [CLIP], "category": "x", "reason": "r"}'): {C},
    ("POST", "/holds", '{"scope": "case", "value": "A", "reason": "r"}'): {C},
    ("POST", "/holds/1/lift", '{"reason": "r"}'): {C},
    ("POST", "/asks/1/agree", ""): {C},
    ("POST", "/clips/{clip}/first", ""): {C, A},
    ("POST", "/slots/1/first", ""): {C, A},
    ("POST", "/slots/1/stop", '{"reason": "r"}'): {C, A},
    ("POST", "/slots/1/use", ""): {C, A},
    ("POST", "/retry", "{}"): {C, A},
    ("POST", "/issues/no-target/acknowledge", '{"note": "n"}'): {C, A},
}


SECRET = "s" * 43  # of a view that was never begun


def bare(path: str) -> str:
    """As the description has it."""
    path = path.split("?")[0]
    for at, name in (
        ("/slots/1", "slot"),
        ("/holds/1", "hold"),
        ("/asks/1", "asked_for"),
        ("/issues/no-target", "key"),
    ):
        path = path.replace(at, f"{at[: at.rindex('/') + 1]}{{{name}}}")
    return path.replace("SECRET", "{secret}")


ROUTES = [*dict.fromkeys((method, bare(path)) for method, path, _ in MATRIX)]
