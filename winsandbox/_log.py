"""Log records of what was decided and what failed, for :mod:`logging`, with the facts as data.

The logger is named after the package; each record has ``event`` (a stable word) and ``facts`` (a dict of plain values)
as attributes, so that a handler can filter without reading sentences. Nothing of the child's environment is logged.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import logging

Weight = Literal["debug", "info", "warning"]


def record(event: str, sentence: str, *, weight: Weight = "info", **facts: object) -> None:
    """Log one event. The facts' values are plain data."""
    levels = {"debug": 10, "info": 20, "warning": 30}  # logging's own
    _logger().log(levels[weight], "%s", sentence, extra={"event": event, "facts": facts})


@functools.cache
def _logger() -> logging.Logger:
    import logging  # not at the top: importing the library must not load it

    logger = logging.getLogger(__package__)
    # Else logging's last resort prints warnings to stderr in a program that configured nothing, and its user reads a
    # failure twice: here, and as the exception.
    logger.addHandler(logging.NullHandler())
    return logger
