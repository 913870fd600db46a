"""What the station shows over HTTP: to browsers on TCP, to commands on a Unix socket. Reads only."""

from agent.web.app import application
from agent.web.clips import ClipQuery, catalog_clips
from agent.web.server import WebServer

__all__ = ["ClipQuery", "WebServer", "application", "catalog_clips"]
