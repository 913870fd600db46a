"""How far a rebuild is: it takes hours where there are terabytes."""


class Progress:
    """Told often. What is of no interest need not be heard."""

    def events(self, done: int, of: int) -> None:
        """So many came back from the log."""

    def lives(self, done: int, of: int) -> None:
        """The clips that so many of the events tell of."""

    def clips(self, done: int, read: int) -> None:
        """So many were found equal, so many bytes were read; also while one large clip is read."""


SILENT = Progress()
