"""The private desktop: one for each host process, shared by its sandboxes.

A child on the user's desktop can send messages to his windows and hook them (Microsoft Learn, "Restricted Tokens": an
application running under one should be on another desktop). Each desktop costs some megabytes of a heap that the whole
session shares, so sandboxes share one; what they share is the logon, which their tokens have in common anyway. A
window station of its own cannot be made without privileges: the clipboard and the atom tables stay shared.

CreateDesktopW makes it in the window station that the caller is in, which is ``WinSta0`` only where somebody is logged
on at a display. A service, a task without a logon and an SSH session have another one, and a child that is sent to a
station where its desktop is not ends with 0xC0000142. So the station is asked for its name, never assumed.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ._security.ace import allow, label
from ._security.acl import Acl
from ._security.descriptor import SecurityDescriptor
from ._security.sid import SYSTEM
from ._security.token import LOW

if TYPE_CHECKING:
    from ._host import Handle, Host
    from ._plan import Plan

# DESKTOP_* rights and the standard ones (Microsoft Learn, "Desktop Security and Access Rights").
_DESKTOP_ALL: Final = 0xF01FF
_UNSEEN: Final = (
    "this process is in {}, a window station without a display (a service, a task without a logon, SSH): the private "
    "desktop lies there, and programs that use windows start only if the child may open that station"
)

_lock = threading.Lock()
_shared: weakref.WeakKeyDictionary[Host, dict[tuple[str, str, bool], tuple[Handle, str]]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Desktop:
    """Where a sandbox's children have their windows.

    ``name`` is ``station\\desktop`` (None: what this process has is inherited, whatever it is); ``handle`` keeps the
    desktop where the sandbox owns it; ``missing`` says why it is not private although the policy asks for that;
    ``remark`` is something that its user should know.
    """

    name: str | None
    handle: Handle | None = None
    missing: str | None = None
    remark: str | None = None


def desktop_for(host: Host, plan: Plan) -> Desktop:
    """The desktop for a plan.

    A token that has the logon SID among its restricting SIDs can open the shared desktop. One without can open only a
    desktop that names its session SID, so it gets its own.
    """
    own = None
    try:
        station = host.processes.station()
        own = f"{station.name}\\{station.desktop}"
        if plan.desktop is None:
            return Desktop(own)
        remark = None if station.visible else _UNSEEN.format(station.name)
        if plan.logon is None or plan.logon not in plan.token.restricting:
            handle, name = _create(host, plan, station.name)
            return Desktop(name, handle, remark=remark)
        with _lock:
            mine = _shared.setdefault(host, {})
            key = (station.name, str(plan.logon), plan.low)
            if key not in mine:
                mine[key] = _create(host, plan, station.name)
            return Desktop(mine[key][1], remark=remark)
    except OSError as error:
        if plan.desktop is None:
            return Desktop(own)
        # The desktop heap is used up, or this process has no window station or may not make desktops in it.
        why = f"no private desktop can be made here ({error}), so the child would share the user's"
        return Desktop(own, missing=why)


def _create(host: Host, plan: Plan, station: str) -> tuple[Handle, str]:
    name = f"{plan.desktop}-{host.processes.random(8).hex()}"
    # The third must be a restricting SID of the token: the second pass looks for it.
    third = plan.logon if plan.logon is not None and plan.logon in plan.token.restricting else plan.session
    who = (plan.user, SYSTEM, third)
    descriptor = SecurityDescriptor(
        owner=plan.user,
        group=plan.user,
        dacl=Acl([allow(sid, _DESKTOP_ALL) for sid in who]),
        sacl=Acl([label(LOW)]) if plan.low else None,
    )
    return host.processes.create_desktop(name, descriptor.to_bytes()), f"{station}\\{name}"
