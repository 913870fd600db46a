"""The screen at the rack, on a station image: `recorder-kiosk.service` keeps the kiosk page on it.

cage, a compositor for one window, and Chromium do the showing. This room starts both and asks the page
itself, through Chromium's debugging pipe, whether it lives: one that could not be loaded, came incomplete or
froze would show nothing, or what is no longer true. It runs as a user of its own and imports nothing of the
agent: all that it knows of it is the address of the page.
"""
