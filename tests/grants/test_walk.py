"""The walker: through handles, never through a link, in bounded memory, with any number of workers."""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.grants.scenes import ROOT, disk, state_of
from winsandbox._host import SHARE_ALL, Entry, Handle
from winsandbox._security.mask import FILE_LIST_DIRECTORY
from winsandbox._walk import LOOK, Counter, Item, Listing, Walk, remove_tree
from winsandbox.errors import AclError
from winsandbox.testing import SimulatedHost


class Recording:
    """Visits everything, writes every second object, remembers what it saw."""

    access = LOOK

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.written: list[str] = []
        self.errors: list[tuple[str, OSError]] = []
        self.contexts: dict[str, Any] = {}

    def place(self, above: Any, entry: Entry, path: str) -> Any:
        return None if entry.reparse else (above or 0) + 1

    def look(self, item: Item) -> bool:
        self.seen.append(item.path)
        self.contexts[item.path] = item.context
        item.below = item.context
        return len(self.seen) % 2 == 0

    def write(self, items: list[Item]) -> None:
        for item in items:
            assert not item.handle.closed
            self.written.append(item.path)

    def failed(self, path: str, context: Any, error: OSError) -> None:
        self.errors.append((path, error))


@pytest.fixture
def host() -> Iterator[SimulatedHost]:
    with SimulatedHost() as made:
        for top in range(6):
            for middle in range(5):
                for name in range(7):
                    made.write_file(rf"{ROOT}\d{top}\e{middle}\f{name}")
        yield made


def walk(host: SimulatedHost, visitor: Any, counter: Counter | None = None, threads: int = 1) -> None:
    handle = host.files.open(ROOT, LOOK | FILE_LIST_DIRECTORY)
    Walk(host, visitor, counter or Counter(host), threads=threads).run(handle, ROOT, 1)


def everything(host: SimulatedHost) -> list[str]:
    return sorted(f"{ROOT}\\{name}" if name else ROOT for name in host.tree(ROOT))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_each_object_is_seen_once_and_no_handle_stays_open(host: SimulatedHost, threads: int) -> None:
    visitor = Recording()
    walk(host, visitor, threads=threads)
    assert sorted(visitor.seen) == everything(host)
    assert len(visitor.written) == len(visitor.seen) // 2
    assert all(context == path.count("\\") - ROOT.count("\\") + 1 for path, context in visitor.contexts.items())
    assert not host.open_handles()


def test_handles_are_bounded_by_depth_and_batch(host: SimulatedHost) -> None:
    most = 0

    class Watching(Recording):
        def look(self, item: Item) -> bool:
            nonlocal most
            most = max(most, len(host.open_handles()))
            return super().look(item)

    for name in range(500):
        host.mkdir(rf"{ROOT}\wide\w{name}\x")
    walk(host, Watching())
    assert most <= 64 + 6


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_of_the_visitor_ends_the_walk_and_closes_everything(host: SimulatedHost, threads: int) -> None:
    class Failing(Recording):
        def look(self, item: Item) -> bool:
            if item.path.endswith(r"\e3\f3"):
                raise AclError("stop", path=item.path)
            return super().look(item)

    with pytest.raises(AclError, match="stop"):
        walk(host, Failing(), threads=threads)
    assert not host.open_handles()
    assert threading.active_count() == 1


def test_an_object_that_cannot_be_opened_is_told_and_the_rest_is_done(host: SimulatedHost) -> None:
    host.set_sddl(ROOT + r"\d1\e1", "O:SYG:SYD:P(A;;FA;;;SY)")
    host.set_sddl(ROOT + r"\d1", "D:P(A;;0x1200a9;;;U)")
    visitor = Recording()
    walk(host, visitor)
    assert [path for path, _ in visitor.errors] == [ROOT + r"\d1\e1"]
    assert sorted(visitor.seen) == [path for path in everything(host) if r"\d1\e1" not in path]


def test_an_object_that_went_away_is_no_error(host: SimulatedHost) -> None:
    class Removing(Recording):
        def place(self, above: Any, entry: Entry, path: str) -> Any:
            if entry.name in ("f3", "e2"):
                host.remove(path)
            return super().place(above, entry, path)

    visitor = Removing()
    walk(host, visitor)
    assert not visitor.errors
    assert sorted(visitor.seen) == everything(host)


def swapped(host: SimulatedHost, change: Callable[[], None], at: str) -> Recording:
    """A walk during which something is changed between the listing of `at` and its opening."""

    class Swapping(Recording):
        def place(self, above: Any, entry: Entry, path: str) -> Any:
            context = super().place(above, entry, path)
            if path == at and context is not None and not getattr(self, "done", False):
                self.done = True
                change()
            return context

    visitor = Swapping()
    walk(host, visitor)
    return visitor


def test_a_link_that_takes_the_place_of_a_directory_in_between_is_not_followed(host: SimulatedHost) -> None:
    outside = r"C:\Users\alice\outside"
    host.write_file(outside + r"\file")

    def change() -> None:
        host.rename(ROOT + r"\d2", r"C:\Users\alice\aside")
        host.junction(outside, ROOT + r"\d2")

    visitor = swapped(host, change, ROOT + r"\d2")
    assert not [path for path in visitor.seen if "file" in path]
    assert ROOT + r"\d2" not in visitor.seen
    assert not host.open_handles()


def test_a_file_that_takes_the_place_of_a_directory_is_judged_as_a_file(host: SimulatedHost) -> None:
    def change() -> None:
        host.rename(ROOT + r"\d2", r"C:\Users\alice\aside")
        host.write_file(ROOT + r"\d2")

    visitor = swapped(host, change, ROOT + r"\d2")
    assert ROOT + r"\d2" in visitor.seen
    assert sorted(visitor.seen) == everything(host)


def test_a_directory_that_takes_the_place_of_another_is_judged_by_its_own_identity(host: SimulatedHost) -> None:
    found = host.files.query(ROOT + r"\d5")
    assert found is not None
    special = found.identity

    class ByIdentity(Recording):
        def place(self, above: Any, entry: Entry, path: str) -> Any:
            if entry.name == "d2" and host.exists(ROOT + r"\d5"):
                context = "special" if entry.identity == special else "plain"
                host.rename(ROOT + r"\d2", r"C:\Users\alice\aside")
                host.rename(ROOT + r"\d5", ROOT + r"\d2")
                return context
            return "special" if entry.identity == special else "plain"

    visitor = ByIdentity()
    walk(host, visitor)
    assert visitor.contexts[ROOT + r"\d2"] == "special"


def test_paths_longer_than_max_path_are_walked(host: SimulatedHost) -> None:
    deep = ROOT
    for _ in range(40):
        deep += "\\" + "n" * 12
        host.mkdir(deep)
    assert len(deep) > 500
    visitor = Recording()
    walk(host, visitor)
    assert deep in visitor.seen


def test_progress_is_rate_limited_and_ends_with_the_last_object(host: SimulatedHost) -> None:
    calls: list[tuple[int, int | None]] = []
    counter = Counter(host, lambda done, total, path, seconds: calls.append((done, total)))
    walk(host, Recording(), counter)
    counter.step("", last=True)
    assert len(calls) == 2  # simulated time stands still
    assert calls[-1] == (len(everything(host)), len(everything(host)))


def test_a_tree_is_removed_by_handles_and_links_are_not_followed(host: SimulatedHost) -> None:
    outside = r"C:\Users\alice\outside"
    host.write_file(outside + r"\file")
    host.junction(outside, ROOT + r"\d1\junction")
    host.symlink(outside + r"\file", ROOT + r"\d1\symlink")
    host.link(outside + r"\file", ROOT + r"\d1\hard")
    host.set_readonly(ROOT + r"\d3\e3\f3")
    host.set_sddl(ROOT + r"\d4\e4", "D:P(A;;FX;;;U)")
    before = disk(host, outside)
    left = Listing()
    with host.files.open(r"C:\Users\alice\src", FILE_LIST_DIRECTORY) as parent:
        assert remove_tree(host, parent, "project", left, path=ROOT)
        assert remove_tree(host, parent, "project", left, path=ROOT)
    assert not left.count
    assert not host.exists(ROOT)
    assert disk(host, outside) == before
    assert not host.open_handles()


def test_what_is_in_use_stays_and_is_told(host: SimulatedHost) -> None:
    held: Handle = host.files.open(ROOT + r"\d1\e1\f1", 0x1, share=SHARE_ALL & ~4)
    left = Listing()
    with host.files.open(r"C:\Users\alice\src", FILE_LIST_DIRECTORY) as parent:
        assert not remove_tree(host, parent, "project", left, path=ROOT)
    assert ROOT + r"\d1\e1\f1" in [path for path, _ in left.items]
    assert sorted(host.tree(ROOT)) == ["", "d1", r"d1\e1", r"d1\e1\f1"]
    held.close()


def test_a_real_tree_of_workers_finds_the_same_as_one(host: SimulatedHost) -> None:
    with state_of(host):
        one, many = Recording(), Recording()
        walk(host, one)
        for _ in range(5):
            walk(host, many, threads=4)
        assert sorted(many.seen) == sorted(one.seen * 5)


def test_an_interrupt_ends_a_walk_of_several_workers_at_once(host: SimulatedHost) -> None:
    """As on Windows: a signal is noted, and wakes no thread that waits without a limit (cpython #139689)."""
    begun = threading.Event()

    class Slow(Recording):
        def look(self, item: Item) -> bool:
            if len(self.seen) > 20:  # the caller's thread waits for the workers by now
                begun.set()
            time.sleep(0.02)
            return super().look(item)

    visitor = Slow()

    def interrupt() -> None:
        begun.wait()
        _thread.interrupt_main()

    helper = threading.Thread(target=interrupt)
    helper.start()
    with pytest.raises(KeyboardInterrupt):
        walk(host, visitor, threads=3)
    helper.join()
    assert len(visitor.seen) < len(everything(host)) // 2
    assert not host.open_handles(), "and no worker goes on"


@pytest.mark.parametrize("threads", [1, 3])
def test_a_callback_that_fails_ends_the_walk_and_is_no_objects_fault(host: SimulatedHost, threads: int) -> None:
    def closed(*_: object) -> None:
        raise BrokenPipeError(32, "the reader is gone")

    visitor = Recording()
    with pytest.raises(AclError, match="the reader is gone") as caught:
        walk(host, visitor, Counter(host, closed), threads=threads)
    assert caught.value.code == "acl.callback"
    assert not visitor.errors
    assert not host.open_handles()
