"""Compiles modules of a folder to byte code in another one: FOLDER PLACE MADE PROCESSES LIST.

PLACE is what the folder is called where the byte code is used. LIST is a file with the names of the modules inside the
folder, each with a zero byte behind it. A file for another version of Python does not compile, and does no harm.
"""

import os
import py_compile
import sys

folder, place, made = sys.argv[1:4]
processes = int(sys.argv[4])
# So many files one process compiles sooner than several.
FEW = 40


def compile_module(inside):
    to = os.path.join(made, f"{inside[:-3]}.{sys.implementation.cache_tag}.pyc")
    path = os.path.join(folder, inside)
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    try:
        py_compile.compile(path, to, os.path.join(place, inside), doraise=True, invalidation_mode=mode)
    except Exception:
        pass


def work(tickets, modules):
    """Take tickets until there are none; who is quick takes more."""
    while ticket := os.read(tickets, 4):
        compile_module(modules[int.from_bytes(ticket, "little")])


with open(sys.argv[5], "rb") as names:
    modules = [os.fsdecode(name) for name in names.read().split(b"\0") if name]
if processes == 1 or len(modules) <= FEW:
    for module in modules:
        compile_module(module)
    sys.exit()
# What takes longest begins first, so that all end together.
modules.sort(key=lambda inside: os.lstat(os.path.join(folder, inside)).st_size, reverse=True)
tickets, counter = os.pipe()
for _ in range(processes):
    if not os.fork():
        os.close(counter)
        work(tickets, modules)
        os._exit(0)
os.close(tickets)
try:
    for number in range(len(modules)):
        os.write(counter, number.to_bytes(4, "little"))
except BrokenPipeError:
    pass
os.close(counter)
for _ in range(processes):
    os.wait()
