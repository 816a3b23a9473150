"""Prints the README's table of tools: ``python -m tests.network.table``. Made from what the code itself uses."""

from __future__ import annotations

from winsandbox.network import NetworkShim

BEGIN = "<!-- network table: begin -->"
END = "<!-- network table: end -->"


def table() -> str:
    """The table in Markdown: tool, means with the names of the variables, tested version, bypass."""
    lines = ["| Tool | Means | Seen to give up (Linux) | What gets around it |", "|---|---|---|---|"]
    shared = {name for name, _ in next(note for note in NetworkShim().explain() if note.tool == "curl").variables}
    for note in NetworkShim().explain():
        names = [f"`{name.split(' ')[0]}`" for name, _ in note.variables if name not in shared]
        if shared <= {name for name, _ in note.variables}:
            names.insert(0, "proxy variables")
        names += [f"`{name}`" for name in note.stubs]
        means = note.means + (f" ({', '.join(names)})" if names else "")
        tested = note.tested if note.covered else "nothing to test"
        lines.append(f"| {note.tool} | {means} | {tested} | {note.bypass} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
