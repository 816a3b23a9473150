"""A Windows in memory: what ``testing.SimulatedHost`` is made of.

names.py       names and paths as Windows takes them
disk.py        volumes, directories, files, hard links, streams, reparse points: what is stored
monitor.py     who may: the access rules of the file system, in one place, standing on _security
filesystem.py  open, create, delete, rename, link: what the rules lead to, with Windows' error codes
tokens.py      tokens, and the Tokens protocol
accounts.py    who logs on: the presets of users, administrators, services
defaults.py    the volumes and descriptors of a default installation
objects.py     registry keys, named pipes, events, process objects
streams.py     pipes and other things that standard streams can be
clock.py       simulated time
jobs.py        processes, jobs, their limits and their end
program.py     SimulatedProcess: what a program, a Python function, is given
gate.py        counts every call of a host, and makes the n-th fail or crash
database.py    SQLite databases that die with the process that opened them
files.py processes.py host.py    the Host protocol on top of all this
mirror.py      a real directory tree's metadata
"""

from __future__ import annotations
