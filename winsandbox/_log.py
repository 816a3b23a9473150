"""Log records of what was decided and what failed, for :mod:`logging`, with the facts as data.

The logger is named after the package; each record has ``event`` (a stable word) and ``facts`` (a dict of plain values)
as attributes, so that a handler can filter without reading sentences. Nothing of the child's environment is logged.
"""

from __future__ import annotations

from typing import Literal

Weight = Literal["debug", "info", "warning"]


def record(event: str, sentence: str, *, weight: Weight = "info", **facts: object) -> None:
    """Log one event. The facts' values are plain data."""
    import logging  # not at the top: importing the library must not load it

    level = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}[weight]
    logging.getLogger(__package__).log(level, "%s", sentence, extra={"event": event, "facts": facts})
