"""The archive at the centre: what no rule and no hold keeps there any more is deleted, in all its versions.

It runs on a machine of its own, with a credential of its own, and never on a station. It believes what
stations tell of themselves below `stations/`, and what it cannot read protects.
"""
