"""Starts a program as a container of the restricted profile would: no new rights, and no system calls that make namespaces
or mounts. Usage: restricted.py PROGRAM [ARGUMENT ...]

The filter is a small part of what container runtimes refuse by default: enough for whoever would build a sandbox in there.
The numbers are those of x86_64 (`<asm/unistd_64.h>`, `<linux/bpf_common.h>`, `<linux/seccomp.h>`).
"""

import ctypes
import errno
import os
import struct
import sys

LOAD, EQUALS, HAS_BITS, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
UNSHARE, MOUNT, UMOUNT, PIVOT_ROOT, SETNS, CHROOT, CLONE, CLONE3 = 272, 165, 166, 155, 308, 161, 56, 435
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET.
NAMESPACES = 0x7E020000
NO_NEW_PRIVILEGES, SET_SECCOMP, FILTER = 38, 22, 2

program = [(LOAD, 0, 0, 0)]
for number in (UNSHARE, MOUNT, UMOUNT, PIVOT_ROOT, SETNS, CHROOT):
    program += [(EQUALS, 0, 1, number), (RETURN, 0, 0, REFUSE | errno.EPERM)]
# Whoever meets ENOSYS falls back to `clone`, whose flags can be looked at.
program += [(EQUALS, 0, 1, CLONE3), (RETURN, 0, 0, REFUSE | errno.ENOSYS)]
program += [(EQUALS, 0, 3, CLONE), (LOAD, 0, 0, 16), (HAS_BITS, 0, 1, NAMESPACES), (RETURN, 0, 0, REFUSE | errno.EPERM)]
program += [(RETURN, 0, 0, ALLOW)]


class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("program", ctypes.c_void_p)]


words = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *word) for word in program))
libc = ctypes.CDLL(None, use_errno=True)
for call in (
    (NO_NEW_PRIVILEGES, 1, 0, 0, 0),
    (SET_SECCOMP, FILTER, ctypes.byref(Filter(len(program), ctypes.addressof(words))), 0, 0),
):
    if libc.prctl(*call):
        sys.exit(f"prctl {call[0]}: {os.strerror(ctypes.get_errno())}")
os.execv(sys.argv[1], sys.argv[1:])
