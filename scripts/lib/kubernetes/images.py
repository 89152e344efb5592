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
# And what `csw svc build --thumbnails` installs on top of that.
DRAWING = "chromium fonts-dejavu-core fonts-noto-core"
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
    """Sends the image of csw; gives its reference."""
    return push_services("base", base)


def push_drawing():
    """Sends the image of csw that draws thumbnails; gives its reference. That without a browser is there."""
    return push_services("drawing", drawing_base, "--thumbnails")


def push_services(name, make_base, *words):
    """Builds and sends an image of csw as an operator does; gives its reference."""
    folder = HOME / name
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make_base(folder)
        (folder / "complete").touch()
    push(f"oci:{folder}/layout:base", f"{name}:1")
    say(f"building the image of csw {' '.join(words)}".rstrip())
    images = LIVE / "images"
    env = environment(CSW_IMAGES=images, HOME=LIVE)
    call(
        CSW, "svc", "build", *words, "--base", f"{network.REGISTRY}/{name}:1", "--insecure", "--builder", "buildah",
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


def base(folder):
    """The distribution as an image, made once: nothing has to be fetched from a registry of images."""
    say("making an image of the distribution")
    root = folder / "root"
    call("debootstrap", "--variant=minbase", f"--include={BROUGHT}", "bookworm", root, mirror())
    shutil.rmtree(root / "var/cache/apt", ignore_errors=True)
    # Pods reach an index of packages by way of this machine: they believe the authorities that it believes.
    if believed := os.environ.get("SSL_CERT_FILE"):
        shutil.copyfile(believed, root / AUTHORITIES)
    lines = ["FROM scratch", "COPY root /", f"ENV SSL_CERT_FILE=/{AUTHORITIES}", 'CMD ["/bin/bash"]']
    (folder / "Containerfile").write_text("\n".join(lines) + "\n")
    container(folder, f"oci:{folder}/layout:base")
    shutil.rmtree(root)


def drawing_base(folder):
    """The same with a browser, made once."""
    say("making an image of the distribution with a browser")
    install = f"apt-get update && apt-get install --yes --no-install-recommends {DRAWING} && rm -rf /var/lib/apt/lists/*"
    lines = [f"FROM {network.REGISTRY}/base:1", f"RUN {install}"]
    (folder / "Containerfile").write_text("\n".join(lines) + "\n")
    container(folder, f"oci:{folder}/layout:base")


def mirror():
    """The first mirror that the machine has its packages from."""
    for _, text in source_entries():
        if found := re.search(r"https?://\S+", re.sub(r"^\s*#.*$", "", text, flags=re.M)):
            return found[0]
    return "http://deb.debian.org/debian"


def container(folder, layout):
    """Makes an image of what is in a folder, and forgets what the tool keeps of it."""
    storage = ["--root", folder / "storage", "--runroot", folder / "storage-run", "--storage-driver", "vfs"]
    call("buildah", *storage, "build", "--isolation", "chroot", "--layers=false", "--tls-verify=false", "--tag", layout, folder)
    for left in ("storage", "storage-run"):
        shutil.rmtree(folder / left, ignore_errors=True)


def push(layout, name):
    call("skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", layout, f"docker://{network.REGISTRY}/{name}")
