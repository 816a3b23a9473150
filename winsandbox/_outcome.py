"""What comes out of a command, for people: its output as text, and what its exit code says about the sandbox."""

from __future__ import annotations

from typing import Final

__all__ = ["decode", "explain_exit"]


def decode(data: bytes, oem: int | None = None) -> str:
    """Text from a command's output: UTF-8 if it is valid, else the OEM code page, as most console programs write.

    Args:
        data: the bytes. A character cut off at their end does not make them invalid where others came before it; alone
            it is more likely a letter of the code page.
        oem: the number of the code page, such as 850; None: this machine's (437 where there is none).
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and not data[: error.start].isascii():
            return data.decode("utf-8-sig", "replace")
    for name in (f"cp{oem}",) if oem is not None else ("oem", "cp437"):
        try:
            return data.decode(name, "replace")
        except LookupError:
            continue
    return data.decode("utf-8", "replace")


_EXITS: Final = {
    1816: "A limit of the sandbox ended it: its time was used up (wall_time or cpu_time).",
    9009: "cmd.exe did not find the command: look at the child's PATH.",
    0x80070005: "The .NET runtime was denied something at its start; PowerShell does this where Everyone is not among "
    "the token's restricting SIDs.",
    0x8009001D: "The cryptographic provider could not be loaded under the restricted token.",
    0xC0000005: "It crashed (access violation). MSYS2 programs end like this in some sandboxes.",
    0xC0000017: "It ran out of memory: the limit of the sandbox, or the machine's.",
    0xC0000022: "Its start was denied: a DLL or a named object is not open to the restricted token. MSYS2, Git Bash "
    "and Cygwin programs end like this; use native programs.",
    0xC000007B: "It or one of its DLLs is built for another machine, or damaged.",
    0xC0000135: "A DLL that it needs was not found: look at the child's PATH, or repair the installation.",
    0xC0000139: "A DLL that it found is another version than it needs: look at the child's PATH.",
    0xC000013A: "It was ended by Ctrl+C, Ctrl+Break or the closing of its console.",
    0xC0000142: "One of its DLLs could not start. It may not use the desktop (in a service or an SSH session not every "
    'program can; try desktop="shared"), or could not make a console (start the host from a console, or use '
    'console="shared"), or it is an MSYS2 program.',
    0xC00000FD: "It crashed (stack overflow).",
    0xC0000374: "It crashed (heap corruption).",
    0xC0000409: "It ended itself after an internal check failed (stack buffer overrun or abort).",
}


def explain_exit(code: int) -> str | None:
    """What an exit code with a known meaning says about a command in a sandbox, and what to do; None for others."""
    return _EXITS.get(code & 0xFFFFFFFF)
