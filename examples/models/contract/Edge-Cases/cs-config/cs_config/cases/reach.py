"""Cases about files, folders and the network: what a run can reach."""

import os
import socket
import tempfile

from cs_config.cases.register import case, said


@case("changes-directory")
def changes_directory(want):
    """Change to the root folder and stay there."""
    os.chdir("/")
    return said({"directory": os.getcwd()})


@case("removes-directory")
def removes_directory(want):
    """Make a folder, change to it and remove it, so that there is no current folder."""
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    os.rmdir(folder)
    return said("no folder under the feet\n")


@case("writes-file")
def writes_file(want):
    """Write a file to the current folder and one to the folder for temporary files, and read them back."""
    seen = {"before": sorted(os.listdir("."))}
    for name, folder in (("current", "."), ("temporary", tempfile.gettempdir())):
        path = os.path.join(folder, "edge-case.txt")
        try:
            seen[f"{name}-was-there"] = os.path.exists(path)
            with open(path, "w") as file:
                file.write(want.text or "written\n")
            with open(path) as file:
                seen[name] = file.read()
        except OSError as problem:
            seen[name] = f"{type(problem).__name__}: {problem.strerror}"
    return said(seen)


@case("fills-disk")
def fills_disk(want):
    """Write so many megabytes to the current folder."""
    written = 0
    try:
        with open("edge-case.bin", "wb") as file:
            for _ in range(want.megabytes):
                written += file.write(os.urandom(1 << 20))
                file.flush()
    except OSError as problem:
        return said({"bytes": written, "problem": problem.strerror})
    return said({"bytes": written})


@case("read-files")
def read_files(want):
    """Try to read each of `paths`: a file's length, a folder's names, or why not."""
    return said({path: _look(path) for path in want.paths})


@case("write-files")
def write_files(want):
    """Try to append nothing to each of `paths`; a folder gets a file of its own for a moment."""
    found = {}
    for path in want.paths:
        is_folder = os.path.isdir(path)
        target = os.path.join(path, "edge-case.tmp") if is_folder else path
        try:
            open(target, "ab").close()
            found[path] = "writable"
            if is_folder:
                os.remove(target)
        except OSError as problem:
            found[path] = problem.strerror
    return said(found)


@case("network")
def network(want):
    """Try to reach `target` by TCP and UDP, an abstract socket, a listener of its own, and a name."""
    host, _, port = want.target.rpartition(":")
    address = (host, int(port))

    def tcp():
        socket.create_connection(address, timeout=2).close()

    def udp():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(b"edge case", address)

    def abstract():
        with socket.socket(socket.AF_UNIX) as one:
            one.connect("\0edge-case")

    def listen():
        with socket.socket() as one:
            one.bind(("0.0.0.0", 0))
            one.listen()

    def resolve():
        socket.getaddrinfo("compute.example", 80)

    tries = {"tcp": tcp, "udp": udp, "abstract": abstract, "listen": listen, "resolve": resolve}
    return said({name: _attempt(attempt) for name, attempt in tries.items()})


@case("facts")
def facts(want):
    """Tell who and where the run is, and what it was given to see."""
    with open("/proc/self/status") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    kept = ("Groups", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp", "NSpid")
    return said(
        {
            "uid": os.getuid(),
            "gid": os.getgid(),
            "directory": os.getcwd(),
            "environment": sorted(os.environ),
            "descriptors": {name: _link(name) for name in sorted(os.listdir("/proc/self/fd"), key=int)},
            "processes": sorted((name for name in os.listdir("/proc") if name.isdigit()), key=int),
            "interfaces": [name for _, name in socket.if_nameindex()],
            "status": {name: status[name].strip() for name in kept if name in status},
            "cpus": len(os.sched_getaffinity(0)),
        }
    )


def _look(path):
    try:
        if os.path.isdir(path):
            return {"names": sorted(os.listdir(path))}
        with open(path, "rb") as file:
            return {"bytes": len(file.read(1 << 20))}
    except OSError as problem:
        return {"problem": problem.strerror}


def _link(descriptor):
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        # The descriptor that listed the folder is closed by now.
        return None


def _attempt(action):
    try:
        action()
        return "reached"
    except OSError as problem:
        return f"{type(problem).__name__}: {problem}"
