"""What a new object gets, what a raw write leaves on disk, and what propagation would give.

Rules: MS-DTYP 2.5.3.4 (creation), Microsoft Learn "DACL for a New Object", "ACE Inheritance Rules"; where they are
silent or wrong, measurements: smbtorture INHERITANCE, INHERITFLAGS, GENERIC, CREATOR on Windows 2016, and Wine's
test_CreateDirectoryA on Windows.

* An entry of the parent reaches a file if it has OBJECT_INHERIT, a directory effectively if it has CONTAINER_INHERIT;
  OBJECT_INHERIT alone reaches a directory as inherit-only. INHERIT_ONLY on the parent changes nothing of that (the
  pseudo-code of MS-DTYP 2.5.3.4.2 skips such entries: the measurement says otherwise). NO_PROPAGATE ends it there.
* An entry that becomes effective *and* goes on to be inherited, with generic rights or for CREATOR OWNER or GROUP,
  becomes two: one with rights mapped and SID replaced, without inheritance flags; one as it was, inherit-only.
* INHERITED_ACE is set on the child's entries, and AUTO_INHERITED on the child, only if the parent has AUTO_INHERITED.
* An explicit descriptor at creation means no inheritance: NTFS merges nothing into it (test_CreateDirectoryA). Measured
  for the DACL; for audit entries, where Microsoft's "SACLs for Newly Created Objects" says that they are merged unless
  the SACL is protected, the same is assumed, since the same function of NTFS does both.
* A mandatory label is looked at by itself (Microsoft Learn, "Mandatory Integrity Control"): an explicit one, else those
  that are inherited; and where none of them is effective on the object, a creator below Medium gives it its own level.
  Else it could not write to its own new objects, which would count as Medium.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .ace import (
    ALLOW_TYPES,
    CONTAINER_INHERIT,
    DENY_TYPES,
    INHERIT_ONLY,
    INHERITED,
    LABEL,
    NO_PROPAGATE,
    OBJECT_INHERIT,
    Ace,
    label,
)
from .acl import Acl
from .descriptor import (
    DACL_AUTO_INHERIT_REQ,
    DACL_AUTO_INHERITED,
    DACL_PRESENT,
    DACL_PROTECTED,
    SACL_AUTO_INHERIT_REQ,
    SACL_AUTO_INHERITED,
    SACL_PROTECTED,
    SecurityDescriptor,
)
from .mask import FILE, GENERIC, GenericMapping
from .sid import CREATOR_GROUP, CREATOR_OWNER, Sid
from .token import MEDIUM, Token

__all__ = ["child", "inherited_aces", "propagate", "propagate_tree", "stored"]

_INHERITANCE = OBJECT_INHERIT | CONTAINER_INHERIT | NO_PROPAGATE | INHERIT_ONLY | INHERITED
_INHERITED_TYPE_PRESENT = 0x2  # ACE_INHERITED_OBJECT_TYPE_PRESENT


def inherited_aces(
    parent_dacl: Iterable[Ace] | None,
    *,
    is_container: bool,
    owner: Sid | None,
    group: Sid | None,
    mapping: GenericMapping = FILE,
    auto_inherited: bool = True,
) -> tuple[Ace, ...]:
    """The entries that a child takes from its parent's list, in the parent's order.

    Args:
        parent_dacl: the parent's list; None (absent or NULL) gives nothing.
        is_container: whether the child is a directory.
        owner, group: of the child; they replace CREATOR OWNER and CREATOR GROUP. None leaves those as they are.
        mapping: of the child's type.
        auto_inherited: whether the parent has AUTO_INHERITED, so that the entries get INHERITED_ACE.
    """
    mark = INHERITED if auto_inherited else 0
    aces: list[Ace] = []
    for ace in parent_dacl or ():
        flags = ace.flags
        if not flags & (OBJECT_INHERIT | CONTAINER_INHERIT):
            continue
        keep = (flags & ~_INHERITANCE) | mark
        # An entry for one class of directory-service objects never becomes effective on anything else.
        typed = ace.object_part is not None and bool(ace.object_part.flags & _INHERITED_TYPE_PRESENT)
        if not is_container:
            if flags & OBJECT_INHERIT and not typed:
                aces.append(_made_effective(ace, keep, owner, group, mapping))
            continue
        onward = 0 if flags & NO_PROPAGATE else flags & (OBJECT_INHERIT | CONTAINER_INHERIT)
        if flags & CONTAINER_INHERIT and not typed:
            aces += _effective_and_onward(ace, keep, onward, owner, group, mapping)
        elif onward:
            aces.append(ace._replace(flags=keep | onward | INHERIT_ONLY))
    return tuple(aces)


def _made_effective(ace: Ace, flags: int, owner: Sid | None, group: Sid | None, mapping: GenericMapping) -> Ace:
    """The entry with its generic rights mapped and the creator's SIDs replaced."""
    sid = ace.sid
    if sid == CREATOR_OWNER and owner is not None:
        sid = owner
    elif sid == CREATOR_GROUP and group is not None:
        sid = group
    mask = ace.mask if ace.type == LABEL else mapping.map(ace.mask)
    return Ace(ace.type, flags, mask, sid, ace.data, ace.object_part)


def _effective_and_onward(
    ace: Ace, keep: int, onward: int, owner: Sid | None, group: Sid | None, mapping: GenericMapping
) -> list[Ace]:
    """One entry, or two where mapping or replacing it would change what is inherited further."""
    if onward and (ace.mask & GENERIC or ace.sid in (CREATOR_OWNER, CREATOR_GROUP)):
        return [
            _made_effective(ace, keep, owner, group, mapping),
            ace._replace(flags=keep | onward | INHERIT_ONLY),
        ]
    return [_made_effective(ace, keep | onward, owner, group, mapping)]


def child(
    parent: SecurityDescriptor | None,
    *,
    is_container: bool,
    token: Token,
    mapping: GenericMapping = FILE,
    explicit: SecurityDescriptor | None = None,
) -> SecurityDescriptor:
    """The descriptor of a new object.

    In this order: the explicit DACL, without inheritance; what the parent passes on; the token's default DACL; NULL.

    Args:
        parent: of the directory or container; None where there is none.
        is_container: whether the new object is a directory.
        token: of the creator: owner, group and default DACL come from it, and a label if it is below Medium.
        mapping: of the object's type.
        explicit: what the creator passed; its owner and group count, its DACL and SACL if present. Audit entries of
            the parent are inherited only where it has no SACL, labels where its SACL has none and is not protected.
    """
    owner = (explicit.owner if explicit is not None else None) or token.owner or token.user
    group = (explicit.group if explicit is not None else None) or token.primary_group or token.user
    control = 0
    dacl: Acl | None
    if explicit is not None and explicit.control & DACL_PRESENT:
        control |= explicit.control & DACL_PROTECTED
        dacl = None if explicit.dacl is None else _assigned(explicit.dacl, is_container, owner, group, mapping)
    else:
        auto = parent is not None and bool(parent.control & DACL_AUTO_INHERITED)
        aces = inherited_aces(
            parent.dacl if parent is not None else None,
            is_container=is_container,
            owner=owner,
            group=group,
            mapping=mapping,
            auto_inherited=auto,
        )
        if aces:
            dacl = Acl(aces)
            control |= DACL_AUTO_INHERITED if auto else 0
        elif token.default_dacl is not None:
            dacl = _assigned(token.default_dacl, is_container, owner, group, mapping)
        else:
            dacl = None
    control |= DACL_PRESENT  # a NULL DACL is one that is present
    sacl, sacl_control = _child_sacl(parent, is_container, token, mapping, owner, group, explicit)
    return SecurityDescriptor(owner, group, control | sacl_control, dacl, sacl)


def _assigned(acl: Acl, is_container: bool, owner: Sid, group: Sid, mapping: GenericMapping) -> Acl:
    """An explicit or default list as a new object gets it: INHERITED_ACE cleared, effective entries mapped and the
    creator's SIDs replaced in them (MS-DTYP 2.5.3.4, post-processing of an ACL).
    """
    aces: list[Ace] = []
    for ace in acl:
        flags = ace.flags & ~INHERITED
        if flags & INHERIT_ONLY:
            aces.append(ace._replace(flags=flags))
            continue
        onward = flags & (OBJECT_INHERIT | CONTAINER_INHERIT | NO_PROPAGATE) if is_container else 0
        if not onward & (OBJECT_INHERIT | CONTAINER_INHERIT):
            aces.append(_made_effective(ace, flags, owner, group, mapping))
        else:
            aces += _effective_and_onward(ace, flags & ~_INHERITANCE, onward, owner, group, mapping)
    return Acl(aces, revision=acl.revision)


def _child_sacl(
    parent: SecurityDescriptor | None,
    is_container: bool,
    token: Token,
    mapping: GenericMapping,
    owner: Sid,
    group: Sid,
    explicit: SecurityDescriptor | None,
) -> tuple[Acl | None, int]:
    """The SACL of a new object and its control bits."""
    control = 0
    aces: tuple[Ace, ...] = ()
    revision: int | None = None
    given = explicit is not None and explicit.sacl is not None
    if explicit is not None and explicit.sacl is not None:
        control = explicit.control & SACL_PROTECTED
        revision = explicit.sacl.revision
        aces = tuple(_assigned(explicit.sacl, is_container, owner, group, mapping))
    if not (control or any(ace.type == LABEL for ace in aces)):
        auto = parent is not None and bool(parent.control & SACL_AUTO_INHERITED)
        inherited = inherited_aces(
            parent.sacl if parent is not None else None,
            is_container=is_container,
            owner=owner,
            group=group,
            mapping=mapping,
            auto_inherited=auto,
        )
        if given:
            inherited = tuple(ace for ace in inherited if ace.type == LABEL)
        aces += inherited
        control |= SACL_AUTO_INHERITED if inherited and auto else 0
    if token.integrity < MEDIUM and Acl(aces).integrity_label is None:
        aces += (label(token.integrity),)
    return (Acl(aces, revision=revision), control) if aces or given else (None, 0)


def stored(descriptor: SecurityDescriptor, mapping: GenericMapping = FILE) -> SecurityDescriptor:
    """What NTFS keeps of a raw write (NtSetSecurityObject, SetKernelObjectSecurity, SetFileSecurityW).

    AUTO_INHERITED stays only if AUTO_INHERIT_REQ came with it, which itself is not kept; PROTECTED and the entries'
    flags stay as given (smbtorture INHERITFLAGS). Generic rights of effective entries are mapped (GENERIC); those of
    inherit-only entries stay, since they are mapped for the object that inherits them. Nothing else of the tree
    changes: existing children keep what they have (smbtorture DYNAMIC).
    """
    control = descriptor.control
    for request, done in ((DACL_AUTO_INHERIT_REQ, DACL_AUTO_INHERITED), (SACL_AUTO_INHERIT_REQ, SACL_AUTO_INHERITED)):
        if not control & request:
            control &= ~done
        control &= ~request
    return descriptor.replace(
        control=control, dacl=_mapped(descriptor.dacl, mapping), sacl=_mapped(descriptor.sacl, mapping)
    )


def _mapped(acl: Acl | None, mapping: GenericMapping) -> Acl | None:
    if acl is None or not any(ace.mask & GENERIC and not ace.flags & INHERIT_ONLY for ace in acl):
        return acl
    return acl.with_aces(ace if ace.flags & INHERIT_ONLY else ace._replace(mask=mapping.map(ace.mask)) for ace in acl)


def propagate(
    parent: SecurityDescriptor,
    child: SecurityDescriptor,
    *,
    is_container: bool,
    mapping: GenericMapping = FILE,
    labels: bool = False,
) -> SecurityDescriptor:
    """What SetNamedSecurityInfo on the parent would make of one existing child.

    The child's explicit entries stay in front, its inherited ones are computed anew from the parent. A protected
    child stays as it is. A child with a NULL DACL that inherits something has only that afterwards: everybody's
    full access is lost. Allow and deny entries are never moved past each other: a child in whose DACL an inherited
    one stands in front of an explicit one keeps its entries as they are, and is marked protected (Microsoft Learn,
    "Automatic Propagation of Inheritable ACEs"; that no entry changes then, and that this holds even if all of them
    allow, is our reading of it).

    Args:
        parent: as it is to be.
        child: as it is.
        is_container: whether the child is a directory.
        mapping: of the child's type.
        labels: whether the label was set too (LABEL_SECURITY_INFORMATION). The child's inherited labels are then
            replaced in the same way, unless its SACL is protected; audit entries stay. False leaves the SACL alone.
    """
    if labels and not child.control & SACL_PROTECTED:
        child = _with_labels(parent, child, is_container, mapping)
    if child.control & DACL_PROTECTED:
        return child
    inherited = inherited_aces(
        parent.dacl, is_container=is_container, owner=child.owner, group=child.group, mapping=mapping
    )
    if child.dacl is None:
        if not inherited:
            return child
        return child.replace(dacl=Acl(inherited), control=child.control | DACL_PRESENT | DACL_AUTO_INHERITED)
    if _would_move(child.dacl):
        return child.replace(control=child.control | DACL_PROTECTED)
    explicit = [ace for ace in child.dacl if not ace.flags & INHERITED]
    return child.replace(
        dacl=child.dacl.with_aces((*explicit, *inherited)), control=child.control | DACL_AUTO_INHERITED
    )


def _would_move(dacl: Acl) -> bool:
    """Whether an inherited allow or deny entry stands in front of an explicit one."""
    seen = False
    for ace in dacl:
        if ace.type in ALLOW_TYPES or ace.type in DENY_TYPES:
            if ace.flags & INHERITED:
                seen = True
            elif seen:
                return True
    return False


def _with_labels(
    parent: SecurityDescriptor, child: SecurityDescriptor, is_container: bool, mapping: GenericMapping
) -> SecurityDescriptor:
    """The child with the labels that it inherits now instead of those that it had inherited."""
    labels = [ace for ace in parent.sacl or () if ace.type == LABEL]
    inherited = inherited_aces(labels, is_container=is_container, owner=child.owner, group=child.group, mapping=mapping)
    old = child.sacl if child.sacl is not None else Acl()
    kept = [ace for ace in old if ace.type != LABEL or not ace.flags & INHERITED]
    if not inherited and len(kept) == len(old):
        return child
    return child.replace(sacl=old.with_aces((*kept, *inherited)), control=child.control | SACL_AUTO_INHERITED)


def propagate_tree(
    root: SecurityDescriptor,
    tree: Mapping[tuple[str, ...], tuple[SecurityDescriptor, bool]],
    *,
    mapping: GenericMapping = FILE,
    labels: bool = False,
) -> dict[tuple[str, ...], SecurityDescriptor]:
    """What propagation from ``root`` would make of everything below it, by :func:`propagate`.

    Args:
        root: the descriptor of the root, as it is to be.
        tree: for each path below the root (a tuple of names) its descriptor and whether it is a directory.
        mapping: of files.
        labels: whether the label was set too.

    Returns:
        The descriptor of each path. What lies below a protected directory is untouched, as is an entry whose parent
        is not in ``tree``. A directory that is only now marked protected counts as protected.
    """
    result: dict[tuple[str, ...], SecurityDescriptor] = {}
    reached: dict[tuple[str, ...], SecurityDescriptor] = {(): root}
    for path in sorted(tree, key=len):
        descriptor, is_container = tree[path]
        parent = reached.get(path[:-1])
        if parent is None:
            result[path] = descriptor
            continue
        result[path] = propagate(parent, descriptor, is_container=is_container, mapping=mapping, labels=labels)
        if is_container and not result[path].control & DACL_PROTECTED:
            reached[path] = result[path]
    return result
