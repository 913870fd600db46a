"""Tells every target what this station is and did, so that the centre knows each station without asking."""
