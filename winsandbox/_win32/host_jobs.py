"""WindowsHost's jobs: everything that a spawn starts is in one, and ends with it.

Kill on close is always set, so the tree ends with its owner, even if that is killed; breakaway is never allowed. So is
"die on unhandled exception": a program that crashes ends with the exception's code, instead of showing a dialog that on
an invisible desktop nobody could close.
Sources: Microsoft Learn, "Job Objects", "Nested Jobs", "JOBOBJECT_EXTENDED_LIMIT_INFORMATION structure",
"JOBOBJECT_ASSOCIATE_COMPLETION_PORT structure".
"""

from __future__ import annotations

import ctypes
import functools
import struct
import threading
import time
from typing import Final

from .. import _host
from ..errors import WinError
from .constants import (
    JobInformationClass,
    JobLimit,
    JobMessage,
    ProcessRights,
    StandardRights,
    SystemError_,
    Wait,
)
from .ffi import Struct, offset_of, size_of
from .handles import any_handle, job_handle, own, process_handle
from .kernel32 import (
    CloseHandle,
    CreateIoCompletionPort,
    CreateJobObjectW,
    GetCurrentProcess,
    GetQueuedCompletionStatus,
    IsProcessInJob,
    OpenProcess,
    QueryInformationJobObject,
    SetInformationJobObject,
    TerminateJobObject,
    WaitForSingleObject,
)
from .ntdll import wine_get_version
from .structs import (
    IO_COUNTERS,
    JOBOBJECT_ASSOCIATE_COMPLETION_PORT,
    JOBOBJECT_BASIC_ACCOUNTING_INFORMATION,
    JOBOBJECT_BASIC_AND_IO_ACCOUNTING_INFORMATION,
    JOBOBJECT_BASIC_LIMIT_INFORMATION,
    JOBOBJECT_BASIC_PROCESS_ID_LIST,
    JOBOBJECT_BASIC_UI_RESTRICTIONS,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
)
from .types import INVALID_HANDLE, Handle

_TICKS: Final = 10_000_000  # 100 ns units in a second
_HIT: Final = {
    JobMessage.JOB_OBJECT_MSG_JOB_MEMORY_LIMIT: "memory",
    JobMessage.JOB_OBJECT_MSG_ACTIVE_PROCESS_LIMIT: "processes",
}
# QUERY_INFORMATION and not its limited twin, which Wine's IsProcessInJob does not accept.
_MEMBER_ACCESS: Final = ProcessRights.PROCESS_QUERY_INFORMATION | StandardRights.SYNCHRONIZE
_MOMENT: Final = 0.001  # seconds; a process that has ended is still counted for a moment
_POLL: Final = 0.01  # seconds; only where no process of the job can be opened to wait on


class HostJobs:
    """The jobs of ``Processes`` on Windows."""

    def __init__(self) -> None:
        super().__init__()
        # A job with limits that end nothing by themselves tells of them through a port: job -> port, what was told
        self._ports: dict[int, tuple[_host.Handle, list[str]]] = {}
        self._lock = threading.Lock()

    def create_job(self, limits: _host.JobLimits) -> _host.Handle:
        number = CreateJobObjectW(None, None)
        job = _host.Handle(number, self._close_job)
        try:
            information = JOBOBJECT_EXTENDED_LIMIT_INFORMATION()
            basic = information.BasicLimitInformation
            flags = JobLimit.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JobLimit.JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION
            if limits.memory is not None:
                flags |= JobLimit.JOB_OBJECT_LIMIT_JOB_MEMORY
                information.JobMemoryLimit = _within(limits.memory, 8 * ctypes.sizeof(ctypes.c_size_t))
            if limits.processes is not None:
                flags |= JobLimit.JOB_OBJECT_LIMIT_ACTIVE_PROCESS
                basic.ActiveProcessLimit = _within(limits.processes, 32)
            if limits.cpu_time is not None:
                flags |= JobLimit.JOB_OBJECT_LIMIT_JOB_TIME
                basic.PerJobUserTimeLimit = _within(max(1, round(limits.cpu_time * _TICKS)), 63)
            basic.LimitFlags = flags
            if limits.memory is not None or limits.processes is not None:
                self._listen(job)
            _set(job, JobInformationClass.JobObjectExtendedLimitInformation, information)
            if limits.ui:
                restrictions = JOBOBJECT_BASIC_UI_RESTRICTIONS()
                restrictions.UIRestrictionsClass = _within(limits.ui, 32)
                _set(job, JobInformationClass.JobObjectBasicUIRestrictions, restrictions)
        except BaseException:
            job.close()
            raise
        return job

    def terminate_job(self, job: _host.Handle, code: int) -> None:
        TerminateJobObject(job_handle(job), code & 0xFFFFFFFF)

    def job_processes(self, job: _host.Handle) -> tuple[int, ...]:
        head = offset_of(JOBOBJECT_BASIC_PROCESS_ID_LIST, "ProcessIdList")
        word = ctypes.sizeof(ctypes.c_void_p)
        room = 64
        while True:
            buffer = ctypes.create_string_buffer(head + word * room)
            try:
                QueryInformationJobObject(
                    job_handle(job), JobInformationClass.JobObjectBasicProcessIdList, buffer, len(buffer), None
                )
            except WinError as error:
                if error.winerror != SystemError_.ERROR_MORE_DATA:
                    raise
            assigned, listed = struct.unpack_from("<II", buffer)
            if assigned <= listed:
                return struct.unpack_from(f"<{listed}{'Q' if word == 8 else 'I'}", buffer, head)
            room = assigned + 64  # the tree may grow meanwhile

    def wait_job(self, job: _host.Handle, timeout: float | None) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            accounting = JOBOBJECT_BASIC_ACCOUNTING_INFORMATION()
            _get(job, JobInformationClass.JobObjectBasicAccountingInformation, accounting)
            if not accounting.ActiveProcesses:
                return True
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            _wait_for_a_member(job, self.job_processes(job), left)

    def job_usage(self, job: _host.Handle) -> _host.Usage:
        accounting, input_output = _accounting(job)
        extended = JOBOBJECT_EXTENDED_LIMIT_INFORMATION()
        _get(job, JobInformationClass.JobObjectExtendedLimitInformation, extended)
        # Wine answers with zeros: it does not tell
        timed = not _is_wine()
        limit = extended.BasicLimitInformation.PerJobUserTimeLimit
        limited = extended.BasicLimitInformation.LimitFlags & JobLimit.JOB_OBJECT_LIMIT_JOB_TIME
        hit = self._told(job)
        if hit is None and limited and accounting.TotalTerminatedProcesses and accounting.TotalUserTime >= limit:
            hit = "cpu_time"
        return _host.Usage(
            user_time=accounting.TotalUserTime / _TICKS if timed else None,
            kernel_time=accounting.TotalKernelTime / _TICKS if timed else None,
            peak_memory=extended.PeakJobMemoryUsed or None,
            read_bytes=None if input_output is None else input_output.ReadTransferCount,
            written_bytes=None if input_output is None else input_output.WriteTransferCount,
            processes=accounting.TotalProcesses,
            limit_hit=hit,
        )

    def job_refuses_ui_limits(self) -> bool | None:
        # "AssignProcessToJobObject function": a process that is in a job already can be put only into one without UI
        # limits; and a child is in its parent's job. Unless that job lets its children go: then it cannot be told.
        inside = ctypes.c_int32()
        IsProcessInJob(GetCurrentProcess(), None, inside)
        if not inside.value:
            return False
        limits = JOBOBJECT_BASIC_LIMIT_INFORMATION()
        try:
            QueryInformationJobObject(
                None, JobInformationClass.JobObjectBasicLimitInformation, limits, size_of(limits), None
            )
        except WinError:
            return None
        return None if limits.LimitFlags & JobLimit.JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK else True

    # --- messages --------------------------------------------------------------------------------------------------

    def _listen(self, job: _host.Handle) -> None:
        port = own(CreateIoCompletionPort(INVALID_HANDLE, None, 0, 1))
        with self._lock:
            self._ports[job.value] = port, []  # before the next call may fail: closing the job closes the port
        information = JOBOBJECT_ASSOCIATE_COMPLETION_PORT()
        information.CompletionKey, information.CompletionPort = job.value, port.value
        _set(job, JobInformationClass.JobObjectAssociateCompletionPortInformation, information)

    def _told(self, job: _host.Handle) -> str | None:
        """Which limit the job has told of first; only a limit that has been run against is ever named."""
        with self._lock:
            port, told = self._ports.get(job.value, (None, []))
            if port is None:
                return None
            message, key, overlapped = ctypes.c_uint32(), ctypes.c_size_t(), ctypes.c_void_p()
            try:
                while True:
                    GetQueuedCompletionStatus(any_handle(port), message, key, overlapped, 0)
                    if message.value in _HIT:
                        told.append(_HIT[JobMessage(message.value)])
            except WinError as error:
                if error.winerror != Wait.WAIT_TIMEOUT:
                    raise
            return told[0] if told else None

    def _close_job(self, number: int) -> None:
        with self._lock:
            port, _ = self._ports.pop(number, (None, None))
        try:
            CloseHandle(Handle(number))
        finally:
            if port is not None:
                port.close()


@functools.cache
def _is_wine() -> bool:
    return wine_get_version.exists()


def _within(value: int, bits: int) -> int:
    """`value`; what does not fit is refused, since ctypes would cut it off and a huge limit become a tiny one."""
    if not 0 <= value < 1 << bits:
        raise WinError(
            SystemError_.ERROR_INVALID_PARAMETER, "SetInformationJobObject", message=f"{value} is out of range"
        )
    return value


def _set(job: _host.Handle, kind: JobInformationClass, information: Struct) -> None:
    SetInformationJobObject(job_handle(job), kind, information, size_of(information))


def _get(job: _host.Handle, kind: JobInformationClass, into: Struct) -> None:
    QueryInformationJobObject(job_handle(job), kind, into, size_of(into), None)


def _accounting(
    job: _host.Handle,
) -> tuple[JOBOBJECT_BASIC_ACCOUNTING_INFORMATION, IO_COUNTERS | None]:
    both = JOBOBJECT_BASIC_AND_IO_ACCOUNTING_INFORMATION()
    try:
        _get(job, JobInformationClass.JobObjectBasicAndIoAccountingInformation, both)
    except WinError as error:
        if error.winerror != SystemError_.ERROR_INVALID_FUNCTION:
            raise
        basic = JOBOBJECT_BASIC_ACCOUNTING_INFORMATION()
        _get(job, JobInformationClass.JobObjectBasicAccountingInformation, basic)
        return basic, None
    return both.BasicInfo, both.IoInfo


def _wait_for_a_member(job: _host.Handle, pids: tuple[int, ...], timeout: float | None) -> None:
    """Wait until one process of the job ends, or the time is over; a short nap where none can be opened."""
    for pid in pids:
        try:
            process = own(OpenProcess(_MEMBER_ACCESS, 0, pid))
        except WinError:
            continue  # ended in between, or not ours to wait for
        with process:
            inside = ctypes.c_int32()
            try:
                IsProcessInJob(process_handle(process), job_handle(job), inside)
            except WinError:
                continue
            if not inside.value:
                continue  # another process has got the number
            if WaitForSingleObject(any_handle(process), 0) == Wait.WAIT_OBJECT_0:
                time.sleep(_MOMENT)
                return
            milliseconds = 0xFFFFFFFE if timeout is None else min(int(timeout * 1000) + 1, 2**31)
            WaitForSingleObject(any_handle(process), milliseconds)
            return
    time.sleep(_POLL if timeout is None else min(_POLL, timeout))
