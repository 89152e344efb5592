"""What the distribution has ready: programs of its packages, none of which is started by their installation."""

import os
import shutil
from pathlib import Path

from say import HOME, call, environment, say

# A file of each package that is needed to build Kubernetes, and of each that is needed in any case.
BUILDING = {
    "dpkg-dev": "/usr/bin/dpkg-source",
    "golang-1.19-go": "/usr/lib/go-1.19/bin/go",
}
PACKAGES = {
    "etcd-server": "/usr/bin/etcd",
    "containerd": "/usr/bin/containerd",
    "runc": "/usr/sbin/runc",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "docker-registry": "/usr/bin/docker-registry",
    "skopeo": "/usr/bin/skopeo",
    "buildah": "/usr/bin/buildah",
    "debootstrap": "/usr/sbin/debootstrap",
    "iptables": "/usr/sbin/iptables",
    "iproute2": "/usr/bin/ip",
    "openssl": "/usr/bin/openssl",
    "gcc": "/usr/bin/gcc",
    "libc6-dev": "/usr/lib/*/libc.a",
}
POLICY = Path("/usr/sbin/policy-rc.d")


def install(builds):
    packages = {**PACKAGES, **BUILDING} if builds else PACKAGES
    missing = [name for name, file in packages.items() if not list(Path("/").glob(file.lstrip("/")))]
    if not missing:
        return
    say(f"installing {' '.join(missing)}")
    HOME.mkdir(parents=True, exist_ok=True)
    refuses = not POLICY.exists()
    if refuses:
        # Debian asks this program whether services may be started.
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        quietly = environment(DEBIAN_FRONTEND="noninteractive")
        call("apt-get", "update", "-qq", env=quietly)
        call("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, env=quietly)
    finally:
        if refuses:
            POLICY.unlink()


def found(name):
    """The path of a program, which may be where only root looks."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    return path or name
