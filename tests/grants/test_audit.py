"""Places that everyone may write: found, bounded, nothing changed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.grants.scenes import disk
from winsandbox._security.sid import EVERYONE
from winsandbox._security.token import Token
from winsandbox.audit import OpenPlace, audit
from winsandbox.errors import PolicyError
from winsandbox.testing import SimulatedHost

OPEN = r"C:\ProgramData\open"


@pytest.fixture
def host() -> Iterator[SimulatedHost]:
    with SimulatedHost() as made:
        yield made


def paths(host: SimulatedHost) -> list[str]:
    return [place.path for place in audit(host=host, time_limit=60).places]


def test_a_default_installation_has_no_such_place(host: SimulatedHost) -> None:
    report = audit(host=host)
    assert report.places == ()
    assert report.complete
    assert report.basis == "token"
    assert report.objects > 20
    assert "no place found" in report.to_text()


@pytest.mark.parametrize(
    ("sddl", "found"),
    [
        ("D:(A;OICI;FA;;;WD)", True),
        ("D:(A;OICI;0x1301bf;;;WD)", True),
        ("D:(A;;0x2;;;WD)(A;OICI;FA;;;U)", True),
        ("D:(A;;WD;;;WD)(A;OICI;FA;;;U)", True),
        ("D:NO_ACCESS_CONTROL", True),
        ("D:(A;OICI;FR;;;WD)(A;OICI;FA;;;U)", False),
        ("D:(A;OICI;FA;;;BU)(A;OICI;FA;;;AU)(A;OICI;FA;;;U)", False),
        ("D:(D;OICI;FA;;;WD)(A;OICI;FA;;;WD)", False),
        ("D:(A;OICIIO;FA;;;WD)(A;;FA;;;U)", False),
    ],
)
def test_a_directory_is_found_exactly_when_the_child_could_write_there(
    host: SimulatedHost, sddl: str, found: bool
) -> None:
    host.mkdir(OPEN, sddl)
    assert (OPEN in paths(host)) is found


def test_what_everyone_may_do_is_told_by_name(host: SimulatedHost) -> None:
    host.mkdir(OPEN, "D:(A;;0x10006;;;WD)(A;OICI;FA;;;U)")
    text = audit(host=host, time_limit=60).to_text()
    names = "FILE_WRITE_DATA/ADD_FILE, FILE_APPEND_DATA/ADD_SUBDIRECTORY, DELETE"
    assert f"{OPEN}: everyone may write ({names})" in text
    assert str(OpenPlace(OPEN, "everyone", 0x42)).endswith("(FILE_WRITE_DATA/ADD_FILE, 0x40)")


def test_only_the_topmost_is_told(host: SimulatedHost) -> None:
    host.mkdir(OPEN, "D:(A;OICI;FA;;;WD)")
    host.write_file(OPEN + r"\below\file")
    assert [path for path in paths(host) if path.startswith(OPEN)] == [OPEN]


def test_a_writable_program_on_the_path_is_found(host: SimulatedHost) -> None:
    host.write_file(r"C:\Program Files\Git\cmd\tool.exe", b"", "D:(A;;FA;;;WD)")
    assert r"C:\Program Files\Git\cmd\tool.exe" in paths(host)


def test_links_are_not_followed(host: SimulatedHost) -> None:
    host.mkdir(r"C:\hidden", "D:P(A;OICI;FA;;;WD)")
    host.mkdir(r"C:\looked")
    host.junction(r"C:\hidden", r"C:\looked\link")
    report = audit(host=host, places=[r"C:\looked"])
    assert report.places == ()
    assert report.objects == 1
    assert [place.path for place in audit(host=host, places=[r"C:\hidden"]).places] == [r"C:\hidden"]


def test_volumes_without_lists_and_network_drives_are_told(host: SimulatedHost) -> None:
    host.add_volume("E:", acls=False, filesystem="exFAT")
    host.add_share(r"\\server\share", letter="Z:")
    found = {(place.path, place.reason) for place in audit(host=host).places}
    assert {("E:\\", "no ACLs"), ("Z:\\", "network")} <= found


def test_it_is_bounded_and_says_where_it_stopped(host: SimulatedHost) -> None:
    for number in range(50):
        host.mkdir(rf"C:\many\{number}")
    report = audit(host=host, places=[r"C:\many"], max_objects=10)
    assert report.objects <= 10
    assert not report.complete
    assert "NOT all" in report.to_text()
    with pytest.raises(ValueError, match="positive"):
        audit(host=host, time_limit=0)
    with pytest.raises(PolicyError):
        audit(host=host, places=["relative"])


def test_it_changes_nothing_and_leaves_no_handle(host: SimulatedHost) -> None:
    host.mkdir(OPEN, "D:(A;OICI;FA;;;WD)")
    before = disk(host, r"C:\ProgramData")
    audit(host=host)
    assert disk(host, r"C:\ProgramData") == before
    assert host.counts["set_security"] == 0
    assert not host.open_handles()


def test_a_model_of_a_token_asks_the_model(host: SimulatedHost) -> None:
    host.mkdir(OPEN, "D:(A;OICI;FA;;;AU)(A;OICI;FA;;;WD)")
    with host.tokens.current() as current:
        caller = host.tokens.inspect(current).token
    narrow = Token(caller.user, caller.groups, restricting=(), write_restricted=True)
    wide = Token(caller.user, caller.groups, restricting=(EVERYONE,), write_restricted=True)
    assert audit(host=host, places=[OPEN], token=narrow).places == ()
    report = audit(host=host, places=[OPEN], token=wide)
    assert [place.path for place in report.places] == [OPEN]
    assert report.basis == "model"
    json.dumps(report.to_dict())
