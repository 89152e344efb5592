"""What processes cost, from /proc."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def _stat(pid):
    text = Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2 :].split()


def tree(root):
    """The process and all its descendants."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(_stat(entry.name)[1])
            except (OSError, ValueError):
                continue
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def cpu_seconds(*roots):
    """CPU time of the trees so far, with that of their processes that have ended."""
    ticks = 0
    for root in roots:
        for pid in tree(root):
            try:
                # Fields 14 to 17: its own time, then that of children that were waited for.
                ticks += sum(int(field) for field in _stat(pid)[11:15])
            except OSError:
                continue
    return ticks / TICKS


def exact_cpu_seconds(root):
    """CPU time of the threads that are alive, in nanoseconds' precision: for processes that hardly do anything."""
    total = 0
    for pid in tree(root):
        for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                total += int(task.read_text().split()[0])
            except OSError:
                continue
    return total / 1e9


def resident_bytes(root):
    """Resident memory of the tree; what processes share counts in each."""
    total = 0
    for pid in tree(root):
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
        except OSError:
            continue
    return total


def peak_bytes(pid):
    """The most that was resident of one process since `forget_peak`."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"process {pid} has no peak")


def forget_peak(pid):
    """Let the peak begin at what is resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
