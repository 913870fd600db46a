"""Tests over a real running server: real sockets, no browser."""
