"""The one error that this package raises for malformed input."""

from __future__ import annotations

__all__ = ["SecurityDataError", "as_bytes", "is_number", "shown"]


class SecurityDataError(ValueError):
    """A SID, ACE, ACL, security descriptor or SDDL text that Windows would not accept, or that has no such form.

    Attributes:
        problem: what is wrong, in words.
        where: the place: an offset in bytes, a position in a text, an ACE number; empty when the whole is meant.
    """

    def __init__(self, problem: str, where: str = "") -> None:
        super().__init__(f"{problem} ({where})" if where else problem)
        self.problem = problem
        self.where = where

    def within(self, outer: str) -> SecurityDataError:
        """The same error seen from the structure around it: ``outer`` is put before the place."""
        return SecurityDataError(self.problem, f"{outer}, {self.where}" if self.where else outer)

    def __reduce__(self) -> tuple[type[SecurityDataError], tuple[str, str]]:
        return (SecurityDataError, (self.problem, self.where))


def is_number(value: object, largest: int) -> bool:
    """Whether this is an int from 0 to ``largest``."""
    return isinstance(value, int) and 0 <= value <= largest


def shown(value: object) -> str:
    """``value`` for a message, cut to a bearable length. str() of a number with very many digits would fail."""
    text = hex(value) if isinstance(value, int) else repr(value)
    return text if len(text) <= 40 else text[:40] + "..."


def as_bytes(data: bytes | bytearray | memoryview) -> bytes:
    """``data`` as bytes. Not simply bytes(data): that would take a number, and allocate as much.

    Raises:
        SecurityDataError: it is not bytes-like.
    """
    if isinstance(data, bytes):
        return data
    if isinstance(data, bytearray | memoryview):
        return bytes(data)
    raise SecurityDataError(f"expected bytes, not {type(data).__name__}")
