"""The dock: what is plugged in where, and one worker for each occupied slot.

`hotplug` and `rack` turn the world into two events, `dock` hands them to slots, `docking` reads one
recorder, `board` shows it. Nothing here knows clips: `collect` and the drivers are handed in.
"""
