"""One simulated machine: everything that outlives the processes on it."""

from __future__ import annotations

import itertools
import random
import shutil
import tempfile
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from .._host import ProcessId, VolumeKind
from .._security import ace, mask
from .._security.acl import Acl
from .._security.descriptor import SecurityDescriptor
from .._security.errors import SecurityDataError
from .._security.sid import Sid
from ..errors import WinError
from . import accounts, defaults, names
from .clock import Clock
from .disk import Disk, Link, Node
from .filesystem import FileSystem
from .handles import Connection
from .monitor import Monitor, parse
from .objects import Objects, process_descriptor
from .tokens import SimulatedToken

if TYPE_CHECKING:
    from collections.abc import Callable

    from .gate import Caller
    from .jobs import DesktopObject, ProcessRecord, Program

__all__ = ["Machine"]

# 2026-01-01: a fixed day, so that nothing depends on when a test runs.
_EPOCH = 1767225600.0


class Machine:
    """Volumes, accounts, processes, named objects, the clock. ``lock`` guards all of it."""

    def __init__(
        self, user: str, *, user_sid: Sid | None = None, seed: int, patience: float, developer_mode: bool
    ) -> None:
        self.lock = threading.RLock()
        self.clock = Clock(threading.Condition(self.lock), _EPOCH, patience)
        self.random = random.Random(seed)
        self.user_name = user
        self.user: Sid = accounts.user_sid() if user_sid is None else user_sid
        self.system = accounts.system_token()
        self.plain = accounts.user_token(self.user, None)
        self.monitor = Monitor()
        self.filesystem = FileSystem(self)
        self.objects = Objects(self)
        self.processes: dict[int, ProcessRecord] = {}
        self.programs: dict[bytes, Program] = {}
        self.desktops: dict[str, DesktopObject] = {}
        self.connections: list[Connection] = []
        self.listeners: dict[int, Callable[[str], bytes]] = {}
        self.web: dict[str, bytes] = {}
        self.developer_mode = developer_mode
        self.started = 0
        self.callers: list[Caller] = []
        self._stamp = 0
        self._pids = itertools.count(1000, 4)
        self._logons = itertools.count()
        self._serials = itertools.count(0x5A3C_0001)
        self._directory: Path | None = None

    # Processes

    def filetime(self) -> int:
        """The system time for a time stamp: each call gets a later one, so that an order can be seen."""
        self._stamp = max(self._stamp + 1, self.clock.filetime)
        return self._stamp

    def new_process_id(self) -> ProcessId:
        """Numbers are never used twice here; the creation time is what Windows tells them apart by."""
        number = next(self._pids)
        return ProcessId(number, self.clock.filetime + number)

    def new_logon(self) -> Sid:
        """The SID of the next logon session."""
        return accounts.logon_sid(next(self._logons))

    def process_descriptor(self, token: SimulatedToken) -> bytes:
        """Of a new process object."""
        return process_descriptor(token)

    def forget_process(self, record: ProcessRecord) -> None:
        """A process has ended. Who ended a calling process from outside has crashed it: its handles and jobs go too."""
        self.processes.pop(record.pid, None)
        for caller in list(self.callers):
            if caller.process is record:
                caller.crash()

    def caller_ended(self, caller: Caller) -> None:
        """A calling process has ended: whoever waits in it must notice."""
        caller.process.end(1)
        self.clock.happened()

    # Network

    def connect(self, record: ProcessRecord, host: str, port: int, url: str = "") -> bytes:
        """Somebody connects to `host`; with `url` he also asks for it."""
        program = record.argv[0] if record.argv else record.image
        connection = Connection(record.pid, program, host, port)
        if connection.loopback:
            listener = self.listeners.get(port)
            if listener is None:
                raise WinError(10061, "connect", f"{host}:{port}", message="nobody listens")
            self.connections.append(connection)
            return listener(url)
        self.connections.append(connection)
        return self.web.get(url, b"")

    # Files

    def add_disk(
        self,
        root: str,
        *,
        descriptor: bytes | None,
        filesystem: str = "NTFS",
        kind: VolumeKind = "fixed",
        remote: bool = False,
    ) -> Disk:
        """A new volume at a letter (``D:``) or share."""
        disk = Disk(
            root,
            next(self._serials),
            filesystem=filesystem,
            kind=kind,
            remote=remote,
            descriptor=descriptor,
            now=self.filetime(),
        )
        self.filesystem.disks.append(disk)
        self.filesystem.mount(root, disk.node.link())
        return disk

    def add_directory(self, path: str, sddl: str | None = None, *, as_user: bool = False) -> Node:
        """Make a directory and those above it, whatever anybody's rights; an existing one gets the descriptor only."""
        root, parts = names.split(path, "mkdir")
        link = self.filesystem.roots.get(names.folded(root))
        if link is None:
            raise WinError(3, "mkdir", path)
        node = link.node
        for part in parts:
            node = self._through(node, path)
            found = node.find(part)
            node = found.node if found is not None else self._add(node, part, directory=True, as_user=as_user).node
        node = self._through(node, path)
        if sddl is not None and node.descriptor is not None:
            node.descriptor = self.stored(sddl, path)
        return node

    def _through(self, node: Node, path: str) -> Node:
        """The directory that a link leads to, or the node itself."""
        if node.reparse is not None and node.reparse.target:
            link, _ = self.filesystem.existing(node.reparse.target, self.system, "mkdir", follow=True)
            node = link.node
        if not node.directory:
            raise WinError(267, "mkdir", path)
        return node

    def add_file(self, path: str, data: bytes = b"", sddl: str | None = None, *, as_user: bool = False) -> Link:
        """Make a file, and the directories above it; an existing one gets the content and the descriptor."""
        head, _, name = path.rpartition("\\")
        name, stream = names.split_stream(name, "write")
        directory = self.add_directory(head + "\\", as_user=as_user)
        link = directory.find(names.check(name, "write"))
        if link is None:
            link = self._add(directory, name, directory=False, as_user=as_user)
        node = link.node
        if stream:
            node.add_stream(stream)[:] = data
        elif node.backing is not None:
            Path(node.backing).write_bytes(data)
        else:
            node.data = data
            node.size = 0
        node.modified = node.changed = self.filetime()
        if sddl is not None and node.descriptor is not None:
            node.descriptor = self.stored(sddl, path)
        return link

    def _add(self, parent: Node, name: str, *, directory: bool, as_user: bool) -> Link:
        names.check(name, "write")
        node = Node(
            parent.volume,
            directory=directory,
            descriptor=self.filesystem.descriptor_for(
                parent, self.plain if as_user else self.system, container=directory
            ),
            now=self.filetime(),
            attributes=0 if directory else 0x20,
        )
        return parent.attach(name, node)

    def descriptor(self, sddl: str) -> bytes:
        """A descriptor that a program passes, as bytes; U stands for the user."""
        return SecurityDescriptor.from_sddl(defaults.with_user(sddl, str(self.user))).to_bytes()

    def stored(self, sddl: str, path: str) -> bytes:
        """A descriptor given as text, as NTFS keeps it; U in it stands for the user."""
        try:
            given = parse(defaults.expand(sddl, str(self.user)))
        except SecurityDataError as error:
            raise error.within(f"the descriptor of {path}") from None
        return self.filesystem.shared(given.replace(dacl=_mapped(given.dacl), sacl=given.sacl).to_bytes())

    # Real files

    @property
    def profile(self) -> str:
        """The user's profile directory."""
        return "C:\\Users\\" + self.user_name

    def close(self) -> None:
        """Remove what is real."""
        with self.lock:
            directory, self._directory = self._directory, None
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)

    def directory(self) -> Path:
        """A real directory for databases and the caller's standard streams; it goes with the machine."""
        with self.lock:
            if self._directory is None:
                self._directory = Path(tempfile.mkdtemp(prefix="simulated-"))
                weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)
            return self._directory


def _mapped(acl: Acl | None) -> Acl | None:
    """Generic rights mapped where they are effective, as whenever a descriptor is stored."""
    if acl is None:
        return None
    return acl.with_aces(
        entry if entry.flags & ace.INHERIT_ONLY else entry._replace(mask=mask.FILE.map(entry.mask)) for entry in acl
    )
