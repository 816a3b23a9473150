"""Creation, storing and propagation: whole descriptors, beside the table of test_vectors.py."""

from __future__ import annotations

import pytest

from winsandbox._security import access, inherit
from winsandbox._security.ace import Ace, ObjectPart
from winsandbox._security.acl import Acl
from winsandbox._security.descriptor import DACL_AUTO_INHERITED, DACL_PRESENT, SecurityDescriptor
from winsandbox._security.mask import KEY
from winsandbox._security.sid import SYSTEM, USERS, Sid
from winsandbox._security.token import Token

USER = Sid.parse("S-1-5-21-1-2-3-1001")
GROUP = Sid.parse("S-1-5-21-1-2-3-513")
U = str(USER)
DEFAULT = SecurityDescriptor.from_sddl(f"D:(A;;GA;;;{U})(A;;GA;;;SY)").dacl
TOKEN = Token(USER, primary_group=GROUP, default_dacl=DEFAULT)


def sd(text: str) -> SecurityDescriptor:
    return SecurityDescriptor.from_sddl(text)


PARENT = sd("O:BAG:SYD:PAI(D;OICI;SD;;;BU)(A;OICI;FA;;;SY)(A;OICIIO;GA;;;CO)(A;OICIIO;GR;;;CG)(A;;FA;;;BA)")


def test_a_new_file_and_directory() -> None:
    file = inherit.child(PARENT, is_container=False, token=TOKEN)
    assert file.to_sddl() == (f"O:{U}G:{GROUP}D:AI(D;ID;SD;;;BU)(A;ID;FA;;;SY)(A;ID;FA;;;{U})(A;ID;FR;;;{GROUP})")
    directory = inherit.child(PARENT, is_container=True, token=TOKEN)
    assert directory.to_sddl() == (
        f"O:{U}G:{GROUP}D:AI(D;OICIID;SD;;;BU)(A;OICIID;FA;;;SY)(A;ID;FA;;;{U})(A;OICIIOID;GA;;;CO)"
        f"(A;ID;FR;;;{GROUP})(A;OICIIOID;GR;;;CG)"
    )
    assert inherit.child(directory, is_container=False, token=TOKEN) == file


def test_a_parent_without_auto_inherited_breeds_entries_that_look_explicit() -> None:
    raw = sd("O:BAG:SYD:(A;OICIID;FA;;;SY)")
    assert inherit.child(raw, is_container=True, token=TOKEN).to_sddl() == f"O:{U}G:{GROUP}D:(A;OICI;FA;;;SY)"


@pytest.mark.parametrize("parent", [sd("O:BAG:BAD:(A;;FA;;;BA)"), sd("O:BAG:BAD:"), sd("O:BAG:BA"), None])
def test_without_inheritable_entries_the_default_dacl_is_used(parent: SecurityDescriptor | None) -> None:
    new = inherit.child(parent, is_container=False, token=TOKEN)
    assert new.to_sddl() == f"O:{U}G:{GROUP}D:(A;;FA;;;{U})(A;;FA;;;SY)"
    key = inherit.child(parent, is_container=False, token=TOKEN, mapping=KEY)
    assert key.to_sddl() == f"O:{U}G:{GROUP}D:(A;;KA;;;{U})(A;;KA;;;SY)"


def test_without_a_default_dacl_everybody_may() -> None:
    new = inherit.child(None, is_container=False, token=Token(USER))
    assert new.dacl is None
    assert new.control & DACL_PRESENT
    assert new.group == USER
    assert access.check(new, Token(SYSTEM), 0x1F01FF)


@pytest.mark.parametrize(
    ("explicit", "result"),
    [
        ("D:(A;;FR;;;BU)", "D:(A;;FR;;;BU)"),
        ("D:", "D:"),
        ("D:P(A;;FR;;;BU)", "D:P(A;;FR;;;BU)"),
        ("D:P(A;ID;GA;;;BU)", "D:P(A;;FA;;;BU)"),
        ("D:AR(A;;FR;;;BU)", "D:(A;;FR;;;BU)"),
        ("D:NO_ACCESS_CONTROL", "D:NO_ACCESS_CONTROL"),
        ("D:(A;OICI;GA;;;CO)", f"D:(A;;FA;;;{U})(A;OICIIO;GA;;;CO)"),
        ("D:(A;OICI;FR;;;BU)(A;CIIO;GA;;;CO)", "D:(A;OICI;FR;;;BU)(A;CIIO;GA;;;CO)"),
        ("D:(A;CINP;GR;;;BU)", "D:(A;;FR;;;BU)(A;CINPIO;GR;;;BU)"),
    ],
)
def test_an_explicit_dacl_means_no_inheritance(explicit: str, result: str) -> None:
    new = inherit.child(PARENT, is_container=True, token=TOKEN, explicit=sd(explicit))
    assert new.to_sddl() == f"O:{U}G:{GROUP}{result}"


def test_an_explicit_descriptor_without_a_dacl_inherits_for_its_own_owner() -> None:
    new = inherit.child(PARENT, is_container=False, token=TOKEN, explicit=sd("O:BUG:BG"))
    assert (new.owner, new.group) == (USERS, Sid.parse("BG"))
    assert new.dacl is not None
    assert new.dacl[2].sid == USERS


def test_owner_of_the_token_wins_over_its_user() -> None:
    token = Token(USER, owner=SYSTEM)
    assert inherit.child(PARENT, is_container=False, token=token).owner == SYSTEM


def test_labels_are_inherited_and_low_creators_label_what_they_make() -> None:
    labelled = sd("O:BAG:BAD:(A;OICI;FA;;;WD)S:AI(ML;OICI;NW;;;LW)")
    plain = sd("O:BAG:BAD:(A;OICI;FA;;;CO)")
    low = Token(USER, integrity=0x1000)
    assert inherit.child(labelled, is_container=False, token=TOKEN).to_sddl().endswith("S:AI(ML;ID;NW;;;LW)")
    assert inherit.child(labelled, is_container=True, token=low).to_sddl().endswith("S:AI(ML;OICIID;NW;;;LW)")
    assert inherit.child(plain, is_container=False, token=low).to_sddl().endswith("S:(ML;;NW;;;LW)")
    assert inherit.child(plain, is_container=False, token=TOKEN).sacl is None
    mine = inherit.child(plain, is_container=False, token=low)
    assert access.check(mine, low, 0x120116)
    given = inherit.child(labelled, is_container=False, token=low, explicit=sd("S:(ML;;NW;;;ME)"))
    assert given.sacl == sd("S:(ML;;NW;;;ME)").sacl


LOW = Token(USER, primary_group=GROUP, integrity=0x1000)
MINE = f"O:{U}G:{GROUP}D:(A;;FA;;;{U})"


@pytest.mark.parametrize(
    ("parent", "explicit", "container", "token", "sacl"),
    [
        # An explicit SACL goes through the same assignment as a DACL.
        ("", "S:(AU;SAID;GA;;;CO)", False, TOKEN, f"S:(AU;SA;FA;;;{U})"),
        ("", "S:(AU;OICISAID;GA;;;CG)", True, TOKEN, f"S:(AU;SA;FA;;;{GROUP})(AU;OICIIOSA;GA;;;CG)"),
        ("", "S:(AU;OICIIOSA;GA;;;CO)", True, TOKEN, "S:(AU;OICIIOSA;GA;;;CO)"),
        ("", "S:P(AU;SA;GR;;;WD)", False, TOKEN, "S:P(AU;SA;FR;;;WD)"),
        ("", "S:(ML;ID;NWNR;;;LW)", False, TOKEN, "S:(ML;;NWNR;;;LW)"),
        ("", "S:(ML;OICI;NW;;;HI)", True, TOKEN, "S:(ML;OICI;NW;;;HI)"),
        ("", "S:", False, TOKEN, "S:"),
        # A creator below Medium never makes what it could not write: a label that is effective is there.
        ("", "S:(AU;SA;FA;;;WD)", False, LOW, "S:(AU;SA;FA;;;WD)(ML;;NW;;;LW)"),
        ("", "S:", False, LOW, "S:(ML;;NW;;;LW)"),
        ("", "S:(ML;IO;NW;;;ME)", True, LOW, "S:(ML;IO;NW;;;ME)(ML;;NW;;;LW)"),
        ("S:(ML;OI;NW;;;LW)", "", True, LOW, "S:(ML;OIIO;NW;;;LW)(ML;;NW;;;LW)"),
        ("S:(ML;OI;NW;;;ME)", "", True, LOW, "S:(ML;OIIO;NW;;;ME)(ML;;NW;;;LW)"),
        ("S:(ML;CI;NW;;;ME)", "", False, LOW, "S:(ML;;NW;;;LW)"),
        ("S:(ML;CI;NW;;;ME)", "", True, LOW, "S:(ML;CI;NW;;;ME)"),
        ("S:(ML;OICINP;NW;;;LW)", "", True, LOW, "S:(ML;;NW;;;LW)"),
        ("S:AI(ML;OICIID;NW;;;LW)", "", False, TOKEN, "S:AI(ML;ID;NW;;;LW)"),
        ("S:(ML;;NW;;;LW)", "", False, LOW, "S:(ML;;NW;;;LW)"),
        # The labels of the parent are not taken away by an explicit SACL that has none; its audit entries are.
        ("S:(ML;OICI;NW;;;LW)(AU;OICISA;FA;;;WD)", "S:(AU;SA;FR;;;BU)", False, TOKEN,
         "S:(AU;SA;FR;;;BU)(ML;;NW;;;LW)"),
        ("S:AI(ML;OICI;NW;;;LW)", "S:(AU;SA;FR;;;BU)", False, LOW, "S:AI(AU;SA;FR;;;BU)(ML;ID;NW;;;LW)"),
        ("S:(ML;OICI;NW;;;LW)", "S:P(AU;SA;FR;;;BU)", False, TOKEN, "S:P(AU;SA;FR;;;BU)"),
        ("S:(ML;OICI;NW;;;ME)", "S:P(AU;SA;FR;;;BU)", False, LOW, "S:P(AU;SA;FR;;;BU)(ML;;NW;;;LW)"),
        ("S:(ML;OICI;NW;;;LW)", "S:(ML;;NW;;;ME)", False, TOKEN, "S:(ML;;NW;;;ME)"),
        ("S:(AU;OICISA;GA;;;CO)", "", True, TOKEN, f"S:(AU;SA;FA;;;{U})(AU;OICIIOSA;GA;;;CO)"),
        ("S:(AU;SA;FA;;;WD)", "", True, TOKEN, ""),
    ],
)  # fmt: skip
def test_the_sacl_of_a_new_object(parent: str, explicit: str, container: bool, token: Token, sacl: str) -> None:
    new = inherit.child(
        sd(f"O:BAG:BAD:(A;OICI;FA;;;CO){parent}"),
        is_container=container,
        token=token,
        explicit=sd(f"D:(A;;FA;;;CO){explicit}"),
    )
    assert new.to_sddl() == MINE + sacl
    if token is LOW:
        medium = "(ML;CI;NW;;;ME)" in sacl  # where Medium was inherited the creator is locked out, as on Windows
        assert access.check(new, LOW, 0x120116).allowed is not medium


def test_an_entry_for_a_class_of_directory_objects_is_only_passed_on() -> None:
    typed = Ace(5, 0x3, 0x1, USERS, b"", ObjectPart(2, None, b"x" * 16))
    untyped = Ace(5, 0x3, 0x1, USERS, b"", ObjectPart(1, b"x" * 16, None))
    arguments = {"owner": USER, "group": USER, "auto_inherited": False}
    assert inherit.inherited_aces([typed], is_container=False, **arguments) == ()  # type: ignore[arg-type]
    assert inherit.inherited_aces([typed], is_container=True, **arguments) == (typed._replace(flags=0xB),)  # type: ignore[arg-type]
    assert inherit.inherited_aces([untyped], is_container=False, **arguments) == (untyped._replace(flags=0),)  # type: ignore[arg-type]


def test_no_list_passes_nothing_on() -> None:
    assert inherit.inherited_aces(None, is_container=True, owner=USER, group=USER) == ()


def test_unknown_owner_leaves_creator_owner_alone() -> None:
    (ace,) = inherit.inherited_aces(sd("D:(A;OI;FA;;;CO)").dacl, is_container=False, owner=None, group=None)
    assert ace.sid == Sid.parse("CO")


def test_a_raw_write_maps_effective_entries_only_and_keeps_flags() -> None:
    written = sd("O:BAG:BAD:PAI(A;OICI;GA;;;BU)(A;OICIIO;GA;;;CO)(A;ID;GR;;;SY)S:(ML;;NW;;;LW)")
    stored = inherit.stored(written)
    assert stored.to_sddl() == "O:BAG:BAD:P(A;OICI;FA;;;BU)(A;OICIIO;GA;;;CO)(A;ID;FR;;;SY)S:(ML;;NW;;;LW)"
    assert inherit.stored(written.rewritten()).control & DACL_AUTO_INHERITED
    assert inherit.stored(sd("O:BAG:BAD:NO_ACCESS_CONTROL")).dacl is None


def test_propagation_replaces_what_was_inherited_and_keeps_the_rest() -> None:
    parent = sd("O:BAG:BAD:AI(A;OICI;FA;;;SY)")
    child = sd(f"O:{U}G:BUD:AI(D;;SD;;;BU)(A;;FR;;;BU)(A;ID;FA;;;WD)")
    assert inherit.propagate(parent, child, is_container=False).to_sddl() == (
        f"O:{U}G:BUD:AI(D;;SD;;;BU)(A;;FR;;;BU)(A;ID;FA;;;SY)"
    )


def test_propagation_leaves_protected_children_alone_and_empties_null_dacls() -> None:
    parent = sd("O:BAG:BAD:AI(A;OICI;FR;;;SY)")
    protected = sd(f"O:{U}G:BUD:P(A;;FR;;;BU)")
    assert inherit.propagate(parent, protected, is_container=True) is protected
    null = sd(f"O:{U}G:BUD:NO_ACCESS_CONTROL")
    assert inherit.propagate(parent, null, is_container=False).to_sddl() == f"O:{U}G:BUD:AI(A;ID;FR;;;SY)"
    nothing = sd("O:BAG:BAD:(A;;FA;;;SY)")
    assert inherit.propagate(nothing, null, is_container=False) is null
    again = inherit.propagate(nothing, inherit.propagate(parent, null, is_container=False), is_container=False)
    assert again.dacl == ()  # everybody's full access does not come back


@pytest.mark.parametrize(
    ("dacl", "result"),
    [
        # Behind an inherited entry an explicit one stays where it is: the list is protected instead.
        ("AI(A;ID;FR;;;BU)(A;;FW;;;BU)", "PAI(A;ID;FR;;;BU)(A;;FW;;;BU)"),
        ("(D;ID;FR;;;BU)(A;;FW;;;BU)", "P(D;ID;FR;;;BU)(A;;FW;;;BU)"),
        ("AI(A;;FR;;;WD)(A;ID;FR;;;BU)(D;;FW;;;BU)", "PAI(A;;FR;;;WD)(A;ID;FR;;;BU)(D;;FW;;;BU)"),
        # Denies behind allows are nobody's business.
        ("AI(A;;FW;;;BU)(D;;FR;;;BU)(A;ID;FR;;;BU)", "AI(A;;FW;;;BU)(D;;FR;;;BU)(A;ID;FA;;;SY)"),
        ("AI(A;ID;FR;;;BU)(D;ID;FR;;;BU)", "AI(A;ID;FA;;;SY)"),
        ("", "AI(A;ID;FA;;;SY)"),
        ("P(A;;FR;;;BU)", "P(A;;FR;;;BU)"),
    ],
)
def test_propagation_never_moves_entries_past_each_other(dacl: str, result: str) -> None:
    parent, child = sd("O:BAG:BAD:AI(A;OICI;FA;;;SY)"), sd(f"O:{U}G:BUD:{dacl}")
    once = inherit.propagate(parent, child, is_container=False)
    assert once.to_sddl() == f"O:{U}G:BUD:{result}"
    assert inherit.propagate(parent, once, is_container=False) == once
    below = {("d",): (child, True), ("d", "file"): (sd("O:BAG:BAD:(A;;FR;;;BU)"), False)}
    tree = inherit.propagate_tree(parent, below)
    untouched = tree["d", "file"].to_sddl() == "O:BAG:BAD:(A;;FR;;;BU)"
    assert untouched == ("P" in result[:1])


@pytest.mark.parametrize(
    ("parent", "child", "container", "result"),
    [
        ("S:(ML;OICI;NW;;;LW)", "", True, "S:AI(ML;OICIID;NW;;;LW)"),
        ("S:(ML;OICI;NW;;;LW)", "", False, "S:AI(ML;ID;NW;;;LW)"),
        ("S:(ML;OI;NW;;;LW)", "", True, "S:AI(ML;OIIOID;NW;;;LW)"),
        ("S:(ML;;NW;;;LW)", "", True, ""),
        ("S:(ML;OICI;NW;;;LW)", "S:P", True, "S:P"),
        ("S:(ML;OICI;NW;;;LW)(AU;OICISA;FA;;;WD)", "S:(AU;SA;FR;;;BU)", False, "S:AI(AU;SA;FR;;;BU)(ML;ID;NW;;;LW)"),
        ("S:(ML;OICI;NW;;;LW)", "S:AI(ML;;NW;;;ME)(ML;ID;NR;;;HI)", False, "S:AI(ML;;NW;;;ME)(ML;ID;NW;;;LW)"),
        ("", "S:AI(ML;ID;NW;;;LW)", False, "S:AI"),
    ],
)
def test_propagation_of_labels(parent: str, child: str, container: bool, result: str) -> None:
    above, below = sd(f"O:BAG:BAD:{parent}"), sd(f"O:{U}G:BUD:P(A;;FR;;;BU){child}")
    new = inherit.propagate(above, below, is_container=container, labels=True)
    assert new.to_sddl() == f"O:{U}G:BUD:P(A;;FR;;;BU){result}"
    assert inherit.propagate(above, new, is_container=container, labels=True) == new
    assert inherit.propagate(above, below, is_container=container) == below
    assert inherit.propagate_tree(above, {("d",): (below, container)}, labels=True)["d",] == new


def test_propagation_of_a_tree() -> None:
    root = sd("O:BAG:BAD:AI(A;OICI;FA;;;SY)")
    old = sd(f"O:{U}G:BUD:AI(A;ID;FR;;;BU)")
    protected = sd(f"O:{U}G:BUD:P(A;OICI;FW;;;BU)")
    tree = {
        ("a",): (old, True),
        ("a", "deep"): (old, True),
        ("a", "deep", "file"): (old, False),
        ("p",): (protected, True),
        ("p", "below"): (old, False),
        ("x", "orphan"): (old, False),
    }
    result = inherit.propagate_tree(root, dict(reversed(tree.items())))
    assert result.keys() == tree.keys()
    assert result["a", "deep"].to_sddl() == f"O:{U}G:BUD:AI(A;OICIID;FA;;;SY)"
    assert result["a", "deep", "file"].to_sddl() == f"O:{U}G:BUD:AI(A;ID;FA;;;SY)"
    assert result["p",] == protected
    assert result["p", "below"] == old
    assert result["x", "orphan"] == old


def test_the_default_dacl_keeps_its_revision() -> None:
    assert DEFAULT is not None
    token = Token(USER, default_dacl=Acl(DEFAULT, revision=4))
    new = inherit.child(None, is_container=False, token=token)
    assert new.dacl is not None
    assert new.dacl.revision == 4


@pytest.mark.parametrize(
    ("parent", "file", "directory"),
    [
        # Creators, in entries that become effective, that go on, or both.
        ("(A;OI;FA;;;CO)", "(A;ID;FA;;;$U)", "(A;OIIOID;FA;;;CO)"),
        ("(A;CI;FA;;;CO)", "", "(A;ID;FA;;;$U)(A;CIIOID;FA;;;CO)"),
        ("(A;OICI;FA;;;CG)", "(A;ID;FA;;;$G)", "(A;ID;FA;;;$G)(A;OICIIOID;FA;;;CG)"),
        ("(D;OICIIO;0x2;;;CO)", "(D;ID;DC;;;$U)", "(D;ID;DC;;;$U)(D;OICIIOID;DC;;;CO)"),
        ("(A;OINP;FA;;;CO)", "(A;ID;FA;;;$U)", ""),
        ("(A;CINP;FA;;;CO)", "", "(A;ID;FA;;;$U)"),
        ("(A;OICINPIO;FA;;;CG)", "(A;ID;FA;;;$G)", "(A;ID;FA;;;$G)"),
        ("(A;OICI;FA;;;OW)", "(A;ID;FA;;;OW)", "(A;OICIID;FA;;;OW)"),
        ("(A;OICI;FA;;;PS)", "(A;ID;FA;;;PS)", "(A;OICIID;FA;;;PS)"),
        # Generic rights.
        ("(A;OI;GA;;;BU)", "(A;ID;FA;;;BU)", "(A;OIIOID;GA;;;BU)"),
        ("(A;CI;GR;;;BU)", "", "(A;ID;FR;;;BU)(A;CIIOID;GR;;;BU)"),
        ("(A;CINP;GXGR;;;BU)", "", "(A;ID;0x1200a9;;;BU)"),
        ("(D;OICI;GW;;;BU)", "(D;ID;FW;;;BU)", "(D;ID;FW;;;BU)(D;OICIIOID;GW;;;BU)"),
        ("(A;OICI;SDGR;;;BU)", "(A;ID;0x130089;;;BU)", "(A;ID;0x130089;;;BU)(A;OICIIOID;SDGR;;;BU)"),
        ("(A;OICI;GA;;;CO)", "(A;ID;FA;;;$U)", "(A;ID;FA;;;$U)(A;OICIIOID;GA;;;CO)"),
        # Nothing to pass on; what was inherited goes on like the rest; conditions are carried.
        ("(A;;FA;;;BU)(A;NP;FA;;;BU)(A;IO;FA;;;BU)(A;ID;FA;;;BU)", "", ""),
        ("(A;OICIID;FA;;;BU)(D;OICI;SD;;;AU)", "(A;ID;FA;;;BU)(D;ID;SD;;;AU)", "(A;OICIID;FA;;;BU)(D;OICIID;SD;;;AU)"),
        ("(XA;OICI;GR;;;CO;(a))", "(XA;ID;FR;;;$U;(a))", "(XA;ID;FR;;;$U;(a))(XA;OICIIOID;GR;;;CO;(a))"),
    ],
)  # fmt: skip
def test_what_reaches_a_child(parent: str, file: str, directory: str) -> None:
    for container, expected in ((False, file), (True, directory)):
        new = inherit.child(sd(f"O:BAG:BAD:AI{parent}"), is_container=container, token=Token(USER, primary_group=GROUP))
        text = expected.replace("$U", U).replace("$G", str(GROUP))
        assert new.to_sddl() == f"O:{U}G:{GROUP}D:" + (f"AI{text}" if text else "NO_ACCESS_CONTROL")
        raw = inherit.child(sd(f"O:BAG:BAD:{parent}"), is_container=container, token=TOKEN)
        if text:
            flags_off = [ace._replace(flags=ace.flags & ~0x10) for ace in new.dacl or ()]
            assert raw.dacl == tuple(flags_off)
            assert not raw.control & DACL_AUTO_INHERITED
        else:
            assert raw.to_sddl().endswith(f"D:(A;;FA;;;{U})(A;;FA;;;SY)")


def test_the_mapping_of_a_key_is_used_for_a_key() -> None:
    parent = sd("O:BAG:BAD:AI(A;CI;GA;;;BU)")
    new = inherit.child(parent, is_container=True, token=TOKEN, mapping=KEY)
    assert new.to_sddl() == f"O:{U}G:{GROUP}D:AI(A;ID;KA;;;BU)(A;CIIOID;GA;;;BU)"
