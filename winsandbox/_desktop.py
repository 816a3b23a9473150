"""The private desktop: one for each host process, shared by its sandboxes.

A child on the user's desktop can send messages to his windows and hook them (Microsoft Learn, "Restricted Tokens": an
application running under one should be on another desktop). Each desktop costs some megabytes of a heap that the whole
session shares, so sandboxes share one; what they share is the logon, which their tokens have in common anyway. A
window station of its own cannot be made without privileges: the clipboard and the atom tables stay shared.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Final

from ._security.ace import allow, label
from ._security.acl import Acl
from ._security.descriptor import SecurityDescriptor
from ._security.sid import SYSTEM
from ._security.token import LOW

if TYPE_CHECKING:
    from ._host import Handle, Host
    from ._plan import Plan

ORDINARY: Final = "WinSta0\\Default"
# DESKTOP_* rights and the standard ones (Microsoft Learn, "Desktop Security and Access Rights").
_DESKTOP_ALL: Final = 0xF01FF

_lock = threading.Lock()
_shared: weakref.WeakKeyDictionary[Host, dict[tuple[str, bool], tuple[Handle, str]]] = weakref.WeakKeyDictionary()


def desktop_for(host: Host, plan: Plan) -> tuple[Handle | None, str, str | None]:
    """The desktop for a plan: its handle where the sandbox owns it, its full name, and a note where it is not private.

    A token that has the logon SID among its restricting SIDs can open the shared desktop. One without can open only a
    desktop that names its session SID, so it gets its own.
    """
    if plan.desktop is None:
        return None, ORDINARY, None
    shared = plan.logon is not None and plan.logon in plan.token.restricting
    try:
        if not shared:
            handle, name = _create(host, plan)
            return handle, name, None
        with _lock:
            mine = _shared.setdefault(host, {})
            key = (str(plan.logon), plan.low)
            if key not in mine:
                mine[key] = _create(host, plan)
            return None, mine[key][1], None
    except OSError as error:
        # The desktop heap is used up, or this session has no interactive window station (a service, SSH).
        return None, ORDINARY, f"no private desktop can be made here ({error}), so the child would share the user's"


def _create(host: Host, plan: Plan) -> tuple[Handle, str]:
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
    return host.processes.create_desktop(name, descriptor.to_bytes()), f"WinSta0\\{name}"
