"""Stands in for the installers while a model's install.sh runs.

One file under many names (pip, conda, apt-get, ...). It installs nothing: it
writes down what is asked for, with the text of every file that is named, and
answers as the tool would after a success. The packages are then installed all
at once, from one lock.

`python` runs for real. What fails because a package is not there yet is noted
and runs again afterwards ("replay"), then with the packages, and for good.
"""

import json
import os
import re
import shutil
import subprocess
import sys

SHIM = os.path.realpath(sys.argv[0])
HERE = os.path.dirname(SHIM)
TOOL = os.path.basename(sys.argv[0])
LARGEST_FILE = 1 << 20
FILE_LINE = re.compile(r"^\s*-?\s*(?:-r|-c|--requirement|--constraint)[ =]*(\S+)", re.M)

with open(os.path.join(HERE, "settings.json")) as file:
    SETTINGS = json.load(file)


def note(text):
    sys.stderr.write(f"[{TOOL}] {text}\n")
    sys.stderr.flush()


def record(tool, args, **more):
    if SETTINGS["replay"]:
        return
    line = {"tool": tool, "args": args, "cwd": os.getcwd(), "files": texts(args), **more}
    with open(SETTINGS["record"], "a") as file:
        file.write(json.dumps(line) + "\n")


def texts(args):
    """The text of every small file that the arguments name, and of those that these name."""
    found = {}
    names = [part for arg in args for part in {arg, arg.split("=", 1)[-1], arg[2:]}]
    pending = [os.path.abspath(name) for name in names if name]
    pending += [os.path.abspath(name) for name in ("environment.yml", "environment.yaml") if "env" in args]
    while pending and len(found) < 100:
        path = pending.pop()
        if path in found or not os.path.isfile(path) or os.path.getsize(path) > LARGEST_FILE:
            continue
        try:
            with open(path, encoding="utf-8") as file:
                found[path] = file.read()
        except (OSError, UnicodeDecodeError):
            continue
        for name in FILE_LINE.findall(found[path]):
            pending += [os.path.join(os.path.dirname(path), name), os.path.abspath(name)]
    return {os.path.normpath(path): text for path, text in found.items()}


def other_program(name, args):
    """The real program of this name, never one of ours."""
    folders = [folder for folder in os.get_exec_path() if os.path.realpath(folder) != HERE]
    path = shutil.which(name, path=os.pathsep.join(folders))
    if path is None:
        note(f"{name} is not on this machine")
        return 127
    os.execv(path, [name, *args])


def fake_environment(folder):
    """`venv` and `conda create` make a folder whose programs are ours."""
    programs = os.path.join(folder, "bin")
    os.makedirs(programs, exist_ok=True)
    for name in ("python", "python3", "pip", "pip3", "activate"):
        path = os.path.join(programs, name)
        if not os.path.lexists(path):
            os.symlink(os.path.join(HERE, name), path)
    return 0


def python(args):
    rest = list(args)
    while rest and rest[0] in ("-I", "-E", "-s", "-S", "-u", "-B", "-P", "-q"):
        rest.pop(0)
    if rest[:1] == ["-m"] and len(rest) > 1:
        module, after = rest[1], rest[2:]
        if module in ("pip", "uv", "conda"):
            return TOOLS[module](after)
        if module in ("venv", "virtualenv"):
            return fake_environment(next((a for a in reversed(after) if not a.startswith("-")), ".venv"))
        if module == "ensurepip":
            return 0
    if rest and os.path.basename(rest[0]) == "setup.py" and set(rest) & {"install", "develop"}:
        os.chdir(os.path.dirname(os.path.abspath(rest[0])))
        return pip(["install", "-e", "."] if "develop" in rest else ["install", "."])
    if SETTINGS["replay"]:
        os.execv(SETTINGS["python"], [SETTINGS["python"], *args])
    if rest[:1] in (["--version"], ["-V"], ["-VV"]):
        os.execv(SETTINGS["python"], [TOOL, *args])
    ended = subprocess.run([SETTINGS["python"], *args], stderr=subprocess.PIPE)
    if ended.returncode:
        note("this step waits until the packages are there: python " + " ".join(args)[:200])
        record("python", args[:2])
    else:
        sys.stderr.buffer.write(ended.stderr)
    return 0


def pip(args):
    if "--version" in args or "-V" in args:
        print(f"pip 25.0 from {HERE} (python {SETTINGS['version']})")
    elif args and args[0] in ("install", "download", "wheel"):
        note("asked for " + " ".join(args[1:]))
        record("pip", args)
    return 0


def conda(args):
    command = args[0] if args else ""
    if command in ("--version", "-V"):
        print(f"{TOOL} 25.1.0")
    elif command == "info":
        print(HERE)
    elif command == "run":
        rest = args[1:]
        while rest and rest[0].startswith("-"):
            rest = rest[2 if rest[0] in ("-n", "--name", "-p", "--prefix") else 1 :]
        if rest:
            os.execvp(rest[0], rest)
    elif command in ("install", "create", "env", "update", "upgrade", "develop"):
        note("asked for " + " ".join(args))
        record("conda", args)
    return 0


def uv(args):
    rest = [arg for arg in args if arg not in ("-q", "--quiet", "--no-cache")]
    command = rest[0] if rest else ""
    if command == "--version":
        print("uv 0.9.0")
    elif command == "pip":
        return pip(["install", "-r", *rest[2:]] if rest[1:2] == ["sync"] else rest[1:])
    elif command == "venv":
        return fake_environment(next((arg for arg in rest[1:] if not arg.startswith("-")), ".venv"))
    elif command == "sync":
        return pip(["install", "-e", "."])
    elif command == "add":
        return pip(["install", *rest[1:]])
    elif command == "run":
        after = [arg for arg in rest[1:] if arg != "--"]
        if after:
            os.execvp(after[0], after)
    return 0


def apt(args):
    words = [arg for arg in args if not arg.startswith("-")]
    if words[:1] == ["install"]:
        note("asked for system packages: " + " ".join(words[1:]))
        record("apt-get", words)
    return 0


def sudo(args):
    while args and (args[0].startswith("-") or "=" in args[0]):
        args = args[1:]
    if args:
        os.execvp(args[0], args)
    return 0


def identity(url):
    url = re.sub(r"^git\+", "", url.strip())
    scp = re.match(r"^[\w.-]+@([\w.-]+):(?!//)(.*)$", url)
    rest = f"{scp[1]}/{scp[2]}" if scp and "://" not in url else url.split("://", 1)[-1]
    host, _, path = rest.partition("/")
    host = re.sub(r"^www\.", "", host.rsplit("@", 1)[-1].split(":")[0])
    path = re.split("[#?]", path)[0].rstrip("/")
    return f"{host}/{path.removesuffix('.git') if hasattr(path, 'removesuffix') else re.sub('[.]git$', '', path)}".lower()


def git(args):
    rest, values = [], {"-b", "--branch", "--depth", "-o", "--origin", "-j", "--jobs", "--reference", "-c", "-C"}
    skip = False
    for arg in args:
        if not skip and not arg.startswith("-"):
            rest.append(arg)
        skip = not skip and arg in values
    inside = (os.getcwd() + os.sep).startswith(SETTINGS["source"] + os.sep)
    if rest[:1] == ["clone"] and len(rest) > 1 and identity(rest[1]) in SETTINGS["own"]:
        folder = rest[2] if len(rest) > 2 else os.path.basename(rest[1].rstrip("/")).replace(".git", "")
        note("this is the model's own repository: using the files that are being published")
        path = os.path.abspath(folder)
        if not os.path.lexists(path):
            os.symlink(SETTINGS["source"], path)
        record("git", ["clone"], link=path)
        return 0
    if inside and rest[:1] and rest[0] in ("checkout", "switch", "fetch", "pull", "submodule", "lfs", "reset"):
        note("the files that are being published stay as they are")
        return 0
    return other_program("git", args)


TOOLS = {
    "pip": pip, "pip3": pip, "conda": conda, "mamba": conda, "micromamba": conda, "uv": uv, "apt-get": apt,
    "apt": apt, "sudo": sudo, "git": git,
}

if __name__ == "__main__":
    sys.exit((TOOLS.get(TOOL) or (pip if TOOL.startswith("pip") else python))(sys.argv[1:]))
