"""The images that the cluster runs: the one that holds a pod together, and that of csw."""

import json
import os
import re
import shutil
import subprocess

import network
from built import source_entries
from say import HOME, LIVE, ROOT, call, environment, say

CSW = ROOT / "target/debug/csw"
PAUSE = "int main(void) { for (;;) pause(); }\n"
# What `csw svc build` installs; a base that has it makes each build quick.
BROUGHT = "ca-certificates,git,python3,python3-venv"
BASE = HOME / "base"
AUTHORITIES = "etc/ssl/certs/ca-certificates.crt"


def push_pause():
    """Pods have a process that does nothing."""
    folder = LIVE / "pause"
    folder.mkdir()
    source = folder / "pause.c"
    source.write_text("#include <unistd.h>\n" + PAUSE)
    call("gcc", "-static", "-Os", "-o", folder / "pause", source)
    (folder / "Containerfile").write_text('FROM scratch\nCOPY pause /pause\nENTRYPOINT ["/pause"]\n')
    layout = f"oci:{folder}/layout:pause"
    container(folder, layout)
    push(layout, "pause:1")


def push_csw():
    """Builds and sends the image of csw as an operator does; gives its reference."""
    base()
    push(f"oci:{BASE}/layout:base", "base:1")
    say("building the image of csw")
    images = LIVE / "images"
    env = environment(CSW_IMAGES=images, HOME=LIVE)
    call(
        CSW, "svc", "build", "--base", f"{network.REGISTRY}/base:1", "--insecure", "--builder", "buildah",
        "--builder-flag=--isolation=chroot", env=env, cwd=LIVE,
    )  # fmt: skip
    pushed = subprocess.run(
        [CSW, "svc", "push", "--registry", network.REGISTRY, "--insecure", "--json"],
        env=env, cwd=LIVE, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    shutil.rmtree(images)
    return json.loads(pushed.stdout)["reference"]


def push_redis():
    """Sends an image of the distribution with the Redis of this machine; gives its reference."""
    program = shutil.which("redis-server")
    folder = LIVE / "redis"
    needed = re.findall(r"(/\S+) \(0x", call("ldd", program))
    for file in [program, *needed]:
        inside = folder / "root" / file.lstrip("/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, inside)
    (folder / "Containerfile").write_text("FROM scratch\nCOPY root /\n")
    layout = f"oci:{folder}/layout:redis"
    container(folder, layout)
    push(layout, "redis:1")
    return f"{network.REGISTRY}/redis:1"


def base():
    """The distribution as an image, made once: nothing has to be fetched from a registry of images."""
    if (BASE / "complete").exists():
        return
    say("making an image of the distribution")
    shutil.rmtree(BASE, ignore_errors=True)
    BASE.mkdir(parents=True)
    call("debootstrap", "--variant=minbase", f"--include={BROUGHT}", "bookworm", BASE / "root", mirror())
    shutil.rmtree(BASE / "root/var/cache/apt", ignore_errors=True)
    # Pods reach an index of packages by way of this machine: they believe the authorities that it believes.
    if believed := os.environ.get("SSL_CERT_FILE"):
        shutil.copyfile(believed, BASE / "root" / AUTHORITIES)
    lines = ["FROM scratch", "COPY root /", f"ENV SSL_CERT_FILE=/{AUTHORITIES}", 'CMD ["/bin/bash"]']
    (BASE / "Containerfile").write_text("\n".join(lines) + "\n")
    container(BASE, f"oci:{BASE}/layout:base")
    shutil.rmtree(BASE / "root")
    (BASE / "complete").touch()


def mirror():
    """The first mirror that the machine has its packages from."""
    for _, text in source_entries():
        if found := re.search(r"https?://\S+", re.sub(r"^\s*#.*$", "", text, flags=re.M)):
            return found[0]
    return "http://deb.debian.org/debian"


def container(folder, layout):
    """Makes an image of what is in a folder, and forgets what the tool keeps of it."""
    storage = ["--root", folder / "storage", "--runroot", folder / "storage-run", "--storage-driver", "vfs"]
    call("buildah", *storage, "build", "--isolation", "chroot", "--layers=false", "--tag", layout, folder)
    for left in ("storage", "storage-run"):
        shutil.rmtree(folder / left, ignore_errors=True)


def push(layout, name):
    call("skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", layout, f"docker://{network.REGISTRY}/{name}")
