"""The USB guard's policy a second time, written without looking at how the rules say it.

`verdict` takes what a device lists and where it hangs; tests hold the rules against it."""

from pathlib import Path

from hypothesis import strategies as st

RULES = Path(__file__).parents[1] / "systemd" / "udev" / "59-recorder-station-guard.rules"
LISTED = "4255:0001"

USUAL = [
    "080650", "080662", "080550", "060101", "ff4201", "030101", "030102", "030000", "090000", "090001",
    "020600", "0a0000", "0202ff", "e00101", "e00103", "ef0401", "ff0000", "ff4202", "ff5201", "060102",
    "060201", "010100", "0e0100", "070102", "0b0000", "110000", "fe0101", "000000", "000800", "800650",
    "f80650", "0f0803", "0803ff", "080308", "ff0803", "030808", "ff4203", "0601ff",
]  # fmt: skip
INTERFACE = st.sampled_from(USUAL) | st.integers(0, (1 << 24) - 1).map(lambda n: f"{n:06x}")
LISTS = st.lists(INTERFACE, unique=True, max_size=10) | st.lists(
    st.sampled_from(["080650", "080662", "060101", "ff4201", "030101", "ff0000"]), unique=True, max_size=4
)


def shown(interfaces: list[str]) -> str:
    """As usb_id writes the list; nothing at all when there is none."""
    return f":{':'.join(interfaces)}:" if interfaces else ""


def verdict(interfaces: list[str], ids: str = "1234:5678", port: str = "", board: bool = False) -> str:
    """The kind that is allowed, or why it is refused (in capitals)."""
    classes = {each[:2] for each in interfaces}
    if not 0 < len(interfaces) <= 8:
        return "UNKNOWN"
    if port:
        return "input" if classes == {"03"} else "PORT"
    if classes == {"09"}:
        return "hub"
    if "03" in classes:
        return "MIXED" if "08" in classes else "INPUT"
    if board:
        return "board"
    if classes & {"02", "0a", "e0"} or any(each.startswith("ef0401") for each in interfaces):
        return "MIXED" if "08" in classes else "NETWORK"
    if ids == LISTED and classes <= {"ff", "08"}:
        return "recorder"
    if classes == {"08"}:
        return "storage"
    rest = {each for each in interfaces if not each.startswith("08")}
    return "mtp" if "060101" in rest and rest <= {"060101", "ff4201"} else "UNKNOWN"


def fits(kind: str, interface: str, driver: str = "") -> bool:
    """Whether an interface is one for which a device of this kind was opened, and a driver one for it."""
    cls = interface[:2]
    if kind == "board":
        return cls != "03"
    classes, drivers = {
        "hub": ({"09"}, {"hub"}),
        "storage": ({"08"}, {"usb-storage", "uas", "usbfs"}),
        "mtp": ({"08"}, {"usb-storage", "uas", "usbfs"}),
        "recorder": ({"08", "ff"}, {"usb-storage", "uas", "usbfs"}),
        "input": ({"03"}, {"usbhid"}),
    }[kind]
    listed = cls in classes or (kind == "mtp" and interface in ("060101", "ff4201"))
    return listed and (driver in drivers | {""} or (driver.startswith("ums-") and "uas" in drivers))
