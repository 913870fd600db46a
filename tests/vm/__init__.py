"""The station's own image in QEMU, unmodified, with recorders plugged into real (emulated) USB ports.

`scripts/test --vm` builds the image and runs these tests; without it they are not collected. To write one:

    def test_a_promise(rack: Machine, shelf: Path) -> None:   # `rack`: a running station that tests share
        card = recorder(shelf / "a.img", Card("0000001", fs="exfat"))
        rack.plug(card, SLOTS["03"])
        rack.guest.until_slot("03", "collected")

    def test_another(boot: Boot) -> None:                      # `boot`: a station of its own
        machine = boot(Order(config="station: [", hardware=Hardware(clock="1980-01-01T00:00:00")))
        machine.guest.up().until_ready()
        print(machine.guest.sh("systemctl --failed"))

`station` is what a test orders, `machine` the hardware, `guest` the system in it, `disk` its disk before and
after, `recorders` (and `exfat`) what is plugged in, `qmp` speaks with QEMU, `credentials` and
`shell_in_guest` are what is handed to the image from outside.
"""
