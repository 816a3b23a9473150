"""Each smoke test of the reference implementation, and where it stands here.

The numbers are those of its ``sandbox_smoketests.py`` (22 and 23 do not exist). Several were corrected on the way:
what is trivially refused got something that is really there, what leans on the network got the loopback, what is known
to get through says so.
"""

from __future__ import annotations

import pytest

from tests.conformance import test_programs
from tests.conformance.hosts import BY_NAME

_WRITES, _READ_ONLY = "test_a_real_program_writes_inside_and_not_outside", "read-only policy"
_NOTHING = "test_a_real_program_writes_nothing_but_its_own_temp_under_a_read_only_policy"
_STARTS = "test_programs_that_write_nothing_start"
# number -> names of cases, and of tests in test_programs.
REFERENCE = {
    "1": (_READ_ONLY,),
    "2": ("write outside",),
    "3": ("write outside",),
    "3b": ("a grant that is on disk but not in the token",),
    "3c": ("a grant that is on disk but not in the token",),
    "4": ("private TEMP",),
    "5": ("the user's own TEMP", _NOTHING),  # the child's own TEMP is writable; the user's is not
    "6": ("change a file outside", _WRITES),
    "7": (_READ_ONLY, _NOTHING),
    "8": (_WRITES,),
    "9": (_READ_ONLY, _NOTHING),
    "10": ("make a directory outside",),
    "11": ("rename outside",),
    "12": ("delete outside",),
    "13": (_READ_ONLY, _NOTHING),
    "14": ("write outside", _WRITES),
    "15": (
        *("a client that honours proxy variables",),
        "test_a_real_client_that_honours_proxy_variables_is_led_to_a_dead_end",
    ),
    # Windows PowerShell asks no proxy variable: a client that opens a socket itself, which gets through.
    "16": ("a client that honours proxy variables", "test_windows_powershell_is_led_to_the_dead_end"),
    "17a": (
        *("a proxy of the user's that is kept",),
        "test_a_real_client_goes_through_the_users_proxy_where_it_is_kept",
    ),
    "17b": (
        *("a proxy of the user's that is kept",),
        "test_a_real_client_that_is_told_to_ask_no_proxy_gets_through",
    ),
    "18": ("the user's own TEMP", _NOTHING),
    "19": (_STARTS,),
    "20": (_STARTS,),
    "21": (_STARTS,),
    "24": (_WRITES,),
    "25": (_NOTHING,),
    "26": ("make a directory outside",),
    "27": ("replace a file outside",),
    "28": (_READ_ONLY, _NOTHING),
    "29": ("a root that is a link", "write through a junction"),
    "30": ("a junction that lay there before",),
    "31a": ("test_a_raw_disk_is_not_read",),
    "31b": ("a named pipe of the user's",),  # with a server: without one nothing is shown
    "32a": ("alternate streams", "streams of protected files"),  # inside the root a stream is allowed
    "32b": ("names of many kinds", "long paths"),
    "33": ("write under another spelling",),
    "34a": ("the state directory",),  # and its deletion
    "34b": (".codex and .agents",),  # they exist: the library makes them
    "35": ("test_a_stub_comes_before_the_users_own_commands",),
    "36": (
        "write through a symbolic link",
        *("test_a_link_that_a_user_turns_meanwhile_never_leads_outside",),
        *("test_a_link_that_is_turned_all_the_while_never_leads_outside",),
    ),
    "37": ("a junction that lay there before", "a place that Everyone may write"),
    "38": ("a root that leads to a drive",),
    "39a": ("through a link to a share", "a network share"),  # gets through: the report says none
    "39b": ("through a link to another volume",),
    "40": (
        *("test_after_a_timeout_nothing_of_the_tree_is_left_to_write",),
        *("test_of_a_real_tree_nothing_is_left_to_write_after_a_timeout",),
    ),
    "41": ("test_the_shell_starts_nothing_for_a_child",),  # expected to fail: a broker
    # The extra cases.
    "long paths": ("long paths", "test_a_real_program_writes_long_paths_inside_and_not_outside"),
    "mkdtemp": (
        *("test_a_directory_of_mode_0o700_is_closed_to_the_child_that_made_it",),
        *("test_what_mkdtemp_makes_can_be_written_with_the_helper_only",),
    ),
    "multiprocessing": ("test_a_named_pipe_with_its_built_in_list_is_closed_to_the_child_that_made_it",),
    "capture in the child": (_WRITES, "test_more_than_two_hundred_roots_leave_room_for_the_childs_own_objects"),
    "more than 200 roots": ("test_more_than_two_hundred_roots_leave_room_for_the_childs_own_objects",),
    "WRITE_DAC": ("change a security descriptor",),
    "delete limited to the roots": ("delete outside", "delete in a place that is labelled Low"),
    "another root's grant": ("a grant that is on disk but not in the token",),
    "names": ("names of many kinds",),
}
_NUMBERS = {str(number) for number in range(1, 42)} - {"17", "22", "23", "31", "32", "34", "39"} | {
    *("3b", "3c", "17a", "17b", "31a", "31b", "32a", "32b", "34a", "34b", "39a", "39b"),
}


def test_every_case_of_the_reference_stands_somewhere() -> None:
    assert {number for number in REFERENCE if number[0].isdigit()} == _NUMBERS


@pytest.mark.parametrize("number", REFERENCE)
def test_what_it_is_said_to_be_here_exists(number: str) -> None:
    assert REFERENCE[number]
    for name in REFERENCE[number]:
        assert name in BY_NAME or callable(getattr(test_programs, name, None)), name
