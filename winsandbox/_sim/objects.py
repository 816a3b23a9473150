"""Objects besides files that policies touch: registry keys, processes, events, pipes; each with its descriptor.

Default DACLs: an object made without a descriptor gets the token's default DACL; a *named pipe* gets one of its own
that lets Everyone only read, which is why its write end fails for a write-restricted program whose default DACL would
have let it in ("Named Pipe Security and Access Rights", Microsoft Learn). An anonymous pipe is a named pipe made
with the default DACL, whose write end is then opened like any object.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from .._security import access, ace, inherit, mask
from .._security.acl import Acl
from ..environment import folded
from ..errors import WinError
from . import defaults
from .monitor import parse
from .streams import DescriptorEnd
from .tokens import SimulatedToken

if TYPE_CHECKING:
    from .jobs import ProcessRecord
    from .machine import Machine

__all__ = [
    "Key",
    "Objects",
    "OpenProcess",
    "PipeReader",
    "PipeWriter",
    "RegistryHandle",
    "create_pipe",
    "process_descriptor",
]

_SET_VALUE: Final = 0x2
_CREATE_SUB_KEY: Final = 0x4
_QUERY_VALUE: Final = 0x1
_TERMINATE: Final = 0x1

_LONG: Final = {"HKEY_CURRENT_USER": "HKCU", "HKEY_LOCAL_MACHINE": "HKLM"}

# Named pipes' built-in list: SYSTEM, Administrators and the creator may do everything, Everyone and Anonymous read.
_PIPE: Final = "O:{user}G:{user}D:(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;{user})(A;;FR;;;WD)(A;;FR;;;AN)"


class PipeReader:
    """The read end of a pipe that a program made."""

    def __init__(self, record: ProcessRecord, end: DescriptorEnd) -> None:
        self._record = record
        self.end = end

    def read(self) -> bytes:
        """Everything, up to the end."""
        parts = []
        while data := self.end.read(65536, self._record):
            parts.append(data)
        return b"".join(parts)

    def close(self) -> None:
        """Close this end."""
        self._record.extra_streams.discard(self.end)
        self.end.closed()


class PipeWriter:
    """The write end of a pipe that a program made."""

    def __init__(self, record: ProcessRecord, end: DescriptorEnd) -> None:
        self._record = record
        self.end = end

    def write(self, data: bytes) -> None:
        """All of `data`."""
        self.end.write(data, self._record)

    def close(self) -> None:
        """Close this end."""
        self._record.extra_streams.discard(self.end)
        self.end.closed()


def create_pipe(record: ProcessRecord) -> tuple[PipeReader, PipeWriter]:
    """CreatePipe."""
    machine = record.machine
    token = record.token.token
    descriptor = inherit.child(None, is_container=False, token=token.model).to_bytes()
    for wanted in (mask.FILE_GENERIC_READ, mask.FILE_GENERIC_WRITE):
        _demand(machine, descriptor, token, wanted, mask.FILE, "CreatePipe", "")
    reader, writer = os.pipe()
    ends = DescriptorEnd(machine, reader), DescriptorEnd(machine, writer)
    record.extra_streams.update(ends)
    return PipeReader(record, ends[0]), PipeWriter(record, ends[1])


class Key:
    """A registry key."""

    __slots__ = ("children", "descriptor", "values")

    def __init__(self, descriptor: bytes) -> None:
        self.descriptor = descriptor
        self.values: dict[str, str] = {}
        self.children: dict[str, Key] = {}


class RegistryHandle:
    """An open registry key; what it may do was decided when it was opened."""

    def __init__(self, objects: Objects, path: str, key: Key, record: ProcessRecord, granted: int) -> None:
        self._objects = objects
        self._path = path
        self._key = key
        self._record = record
        self._granted = granted

    def get(self, name: str = "") -> str:
        """A value; winerror 2 where there is none."""
        self._need(_QUERY_VALUE, "RegQueryValueExW")
        try:
            return self._key.values[folded(name)]
        except KeyError:
            raise WinError(2, "RegQueryValueExW", self._path) from None

    def set(self, name: str, value: str) -> None:
        """Set a value (KEY_SET_VALUE)."""
        self._need(_SET_VALUE, "RegSetValueExW")
        self._key.values[folded(name)] = value

    def create(self, name: str) -> None:
        """Make a subkey (KEY_CREATE_SUB_KEY); it inherits."""
        self._need(_CREATE_SUB_KEY, "RegCreateKeyExW")
        made = inherit.child(
            parse(self._key.descriptor), is_container=True, token=self._record.token.token.model, mapping=mask.KEY
        )
        self._key.children.setdefault(folded(name), Key(made.to_bytes()))

    def _need(self, right: int, function: str) -> None:
        self._record.check()
        if not self._granted & right:
            raise WinError(5, function, self._path)


class OpenProcess:
    """An open process handle."""

    def __init__(self, record: ProcessRecord, target: ProcessRecord, granted: int) -> None:
        self._record = record
        self._target = target
        self.granted = granted

    def terminate(self, code: int = 1) -> None:
        """TerminateProcess (PROCESS_TERMINATE)."""
        self._record.check()
        if not self.granted & _TERMINATE:
            raise WinError(5, "TerminateProcess")
        self._target.end(code)
        self._record.check()  # it does not return to who ended himself, or the host whose job he is in


class Objects:
    """The object namespace of a machine, as far as programs touch it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.hives: dict[str, Key] = {}
        self.events: dict[str, bytes] = {}
        self.pipes: dict[str, bytes] = {}

    def add_hive(self, name: str, descriptor: bytes) -> None:
        """Make the root of a hive."""
        self.hives[folded(name)] = Key(descriptor)

    def add_key(self, path: str, sddl: str | None = None) -> Key:
        """Make a key and those above it; a hive's own descriptor is passed on where `sddl` is None."""
        key, rest = self._hive(path)
        if key is None:
            raise ValueError(f"{path!r} begins with no hive of the model: {', '.join(sorted(self.hives))}")
        for index, name in enumerate(rest):
            child = key.children.get(folded(name))
            if child is None:
                child = Key(key.descriptor)
                key.children[folded(name)] = child
            if sddl is not None and index == len(rest) - 1:
                child.descriptor = defaults.expand(sddl, str(self.machine.user))
            key = child
        return key

    def _hive(self, path: str) -> tuple[Key | None, list[str]]:
        """The hive that a path begins with, by its short or long name, and the names behind it."""
        hive, *rest = path.split("\\")
        short = folded(hive)
        return self.hives.get(_LONG.get(short, short)), rest

    def open_key(self, path: str, record: ProcessRecord, wanted: int) -> RegistryHandle:
        """RegOpenKeyExW."""
        key, rest = self._hive(path)
        for name in rest:
            key = key.children.get(folded(name)) if key is not None else None
        if key is None:
            raise WinError(2, "RegOpenKeyExW", path)
        granted = _demand(self.machine, key.descriptor, record.token.token, wanted, mask.KEY, "RegOpenKeyExW", path)
        return RegistryHandle(self, path, key, record, granted)

    def open_process(self, pid: int, record: ProcessRecord, wanted: int) -> OpenProcess:
        """OpenProcess; 87 where there is no such process."""
        target = self.machine.processes.get(pid)
        if target is None:
            raise WinError(87, "OpenProcess")
        granted = _demand(
            self.machine, target.descriptor, record.token.token, wanted, mask.PROCESS, "OpenProcess", str(pid)
        )
        return OpenProcess(record, target, granted)

    def create_event(self, name: str, record: ProcessRecord, sddl: str | None) -> None:
        """CreateEventW."""
        if folded(name) in self.events:
            raise WinError(183, "CreateEventW", name)
        self.events[folded(name)] = _descriptor(self.machine, record.token.token, sddl, mask.EVENT)

    def open_event(self, name: str, record: ProcessRecord, wanted: int) -> None:
        """OpenEventW."""
        descriptor = self.events.get(folded(name))
        if descriptor is None:
            raise WinError(2, "OpenEventW", name)
        _demand(self.machine, descriptor, record.token.token, wanted, mask.EVENT, "OpenEventW", name)

    def create_pipe_server(self, name: str, record: ProcessRecord, sddl: str | None) -> None:
        """CreateNamedPipeW with one instance: 231 where it exists."""
        if folded(name) in self.pipes:
            raise WinError(231, "CreateNamedPipeW", name)
        token = record.token.token
        built_in = _PIPE.format(user=token.model.owner or token.model.user)
        self.pipes[folded(name)] = _descriptor(self.machine, token, sddl or built_in, mask.FILE)

    def open_pipe(self, name: str, record: ProcessRecord, wanted: int) -> None:
        """CreateFileW on the client's side."""
        descriptor = self.pipes.get(folded(name))
        if descriptor is None:
            raise WinError(2, "CreateFileW", name)
        wanted |= mask.SYNCHRONIZE | mask.FILE_READ_ATTRIBUTES
        _demand(self.machine, descriptor, record.token.token, wanted, mask.FILE, "CreateFileW", name)


def _descriptor(machine: Machine, token: SimulatedToken, sddl: str | None, mapping: mask.GenericMapping) -> bytes:
    """Of a new object: what was passed, else the default DACL."""
    explicit = None if sddl is None else parse(machine.descriptor(sddl))
    return inherit.child(None, is_container=False, token=token.model, mapping=mapping, explicit=explicit).to_bytes()


def _demand(
    machine: Machine,
    descriptor: bytes,
    token: SimulatedToken,
    wanted: int,
    mapping: mask.GenericMapping,
    function: str,
    path: str,
) -> int:
    """The granted access, or winerror 5."""
    wanted = mapping.map(wanted)
    granted = machine.monitor.check(descriptor, token, wanted, mapping)
    if granted is None:
        reason = access.check(parse(descriptor), token.model, wanted, mapping).reason
        raise WinError(5, function, path or None, message=f"Access is denied: {reason}")
    return granted


def process_descriptor(token: SimulatedToken) -> bytes:
    """Of a process: its own token's default DACL, and a label of its level that keeps lower ones from reading it."""
    made = inherit.child(None, is_container=False, token=token.model, mapping=mask.PROCESS)
    label = ace.label(token.model.integrity, ace.NO_WRITE_UP | ace.NO_READ_UP)
    return made.replace(sacl=Acl([label])).to_bytes()
