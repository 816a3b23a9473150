"""What of the network shim's table is in force in the environment that a shim makes; used by :mod:`.network` alone.

Everything is read from that environment, not from the table: another tool may have set what a tool needs, and what is
kept or overridden is not there. Of a value that is not the shim's own nothing is known, so it counts as open.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from ._network_changes import entries
from ._network_table import DEAD_PROXY, EXEMPTIONS, ROWS, Means, Row, Variable
from .environment import folded

__all__ = ["InForce"]


class InForce:
    """The answers for one shim.

    `made` is the environment made of an empty one, `chosen` are the variables of its tools, `texts` what stands for the
    words in braces; `proxy` is None where it is known to be dead.
    """

    def __init__(
        self,
        made: Mapping[str, str],
        chosen: Iterable[Variable],
        texts: Mapping[str, str],
        keep: Iterable[str],
        extra: Mapping[str, str],
        proxy: str | None,
    ) -> None:
        self._made = {folded(name): value for name, value in made.items()}
        self._entries = entries(made)
        self._texts = texts
        self._keep = {folded(name) for name in keep}
        self._extra = {folded(name): value for name, value in extra.items()}
        self._proxy = proxy
        self._known = {folded(v.name): v for row in ROWS for v in row.variables if v.how != "git-config"}
        self._chosen: set[str] = set()
        for variable in chosen:
            by_git = variable.how == "git-config"
            self._chosen |= {"GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS"} if by_git else {folded(variable.name)}

    def chosen(self, name: str) -> bool:
        """Whether the shim's tools ask for the variable."""
        return folded(name) in self._chosen

    def kept(self, name: str) -> bool:
        """Whether the user's value is left, be there one or not."""
        return folded(name) in self._keep

    def overridden(self, name: str) -> bool:
        """Whether ``extra`` gives a variable of the table another value than the shim's."""
        known = self._known.get(folded(name))
        return known is not None and folded(name) in self._extra and not self._holds(known)

    def _holds(self, variable: Variable) -> bool:
        name, value = folded(variable.name), variable.value.format_map(self._texts)
        if variable.how == "git-config":
            return (variable.name, value) in self._entries
        if not value:  # it is taken away
            return name in self._chosen and name not in self._keep and name not in self._made
        return self._made.get(name) == value

    def _undone(self, name: str) -> bool:
        if name in EXEMPTIONS and self.overridden(name):
            return "*" in re.split(r"[,;\s]+", self._extra[folded(name)])
        return self.kept(name) or self.overridden(name)

    def _works(self, means: Means) -> bool:
        return all(map(self._holds, means.stops or means.helps)) and not any(map(self._undone, means.undone_by))

    def means(self, row: Row) -> tuple[list[str], bool]:
        """The texts of what is in force and of what is undone, and whether something in force stops the tool."""
        texts: dict[str, str] = {}
        covered = False
        for means in row.means:
            by_proxy = DEAD_PROXY in means.text
            text = means.text.replace(DEAD_PROXY, f"proxy {self._proxy}" if self._proxy else "dead proxy")
            if self._works(means):
                texts[text] = text
                covered |= bool(means.stops) and not (by_proxy and self._proxy)
                continue
            names = [v.name for v in means.stops or means.helps] + [n for n in means.undone_by if self._undone(n)]
            reasons = [
                f"{word}: {', '.join(found)}"
                for word, told in (("kept", self.kept), ("overridden", self.overridden))
                if (found := [name for name in dict.fromkeys(names) if told(name)])
            ]
            if reasons:
                texts.setdefault(text, f"{text} [{'; '.join(reasons)}]")
        return list(texts.values()), covered

    def named(self, row: Row, told: Callable[[str], bool]) -> list[str]:
        """The variables of a row, and those that undo them, of which `told` (kept or overridden) is true."""
        names = [v.name for v in row.variables] + [name for means in row.means for name in means.undone_by]
        return [name for name in dict.fromkeys(names) if told(name)]

    def variables(self, row: Row) -> tuple[tuple[str, str], ...]:
        """Names and values of what the child has of a row, in the order of the table."""
        found = []
        for v in row.variables:
            if v.how != "git-config" and self.overridden(v.name):
                found.append((v.name, self._extra[folded(v.name)]))
            elif self._holds(v):
                name = f"{v.name} (git configuration)" if v.how == "git-config" else v.name
                found.append((name, v.value.format_map(self._texts)))
        return tuple(found)
