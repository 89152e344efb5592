"""Compiles the modules of a folder to byte code in another one: FOLDER PLACE MADE PROCESSES.

PLACE is what the folder is called where the byte code is used. A file for another version of Python does not compile, and
does no harm.
"""

import os
import py_compile
import sys

folder, place, made = sys.argv[1:4]
processes = int(sys.argv[4])
# So many files one process compiles sooner than several.
FEW = 40


def modules():
    for where, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            if name.endswith(".py"):
                yield os.path.join(where, name)


def compile_module(path):
    inside = os.path.relpath(path, folder)
    to = os.path.join(made, f"{inside[:-3]}.{sys.implementation.cache_tag}.pyc")
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    try:
        py_compile.compile(path, to, os.path.join(place, inside), doraise=True, invalidation_mode=mode)
    except Exception:
        pass


def work(tickets, paths):
    """Take tickets until there are none; who is quick takes more."""
    while ticket := os.read(tickets, 4):
        compile_module(paths[int.from_bytes(ticket, "little")])


paths = list(modules())
if processes == 1 or len(paths) <= FEW:
    for path in paths:
        compile_module(path)
    sys.exit()
# What takes longest begins first, so that all end together.
paths.sort(key=lambda path: os.lstat(path).st_size, reverse=True)
tickets, counter = os.pipe()
for _ in range(processes):
    if not os.fork():
        os.close(counter)
        work(tickets, paths)
        os._exit(0)
os.close(tickets)
try:
    for number in range(len(paths)):
        os.write(counter, number.to_bytes(4, "little"))
except BrokenPipeError:
    pass
os.close(counter)
for _ in range(processes):
    os.wait()
