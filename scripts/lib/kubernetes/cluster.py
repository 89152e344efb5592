"""The cluster as a whole: up, until a pod has run, and down, until nothing is left of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import credentials
import images
import network
import node
from programs import program
from say import LIVE, LOGS, Trouble, say, wait

KUBECONFIG = LIVE / "kubeconfig"
PROCESS = LIVE / "node.pid"
INSIDE = Path(__file__).with_name("node.py")


def up():
    """Brings it up, and gives the references of the images that tests run, by the variable that names each."""
    down()
    begin = time.monotonic()
    LIVE.mkdir(parents=True)
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir()
    credentials.make()
    make_groups()
    inside = start_node()
    wait("the registry", lambda: alive(inside) and answers(f"http://{network.REGISTRY}/v2/"))
    images.push_pause()
    wait("the API server", lambda: alive(inside) and kubectl("get", "--raw", "/readyz") == "ok")
    wait("the node", lambda: alive(inside) and is_ready())
    wait("the account of pods", lambda: kubectl("get", "serviceaccount", "default", "--output=name"))
    apply(name_server())
    shutil.copyfile(credentials.kubeconfig("admin"), KUBECONFIG)
    KUBECONFIG.chmod(0o600)
    image = images.push_csw()
    try_pod(image)
    sent = {
        "CSW_TEST_CLUSTER_IMAGE": image,
        "CSW_TEST_CLUSTER_REDIS_IMAGE": images.push_redis(),
        "CSW_TEST_CLUSTER_THUMBNAILS_IMAGE": images.push_drawing(),
    }
    say(f"the cluster is up after {time.monotonic() - begin:.0f} s")
    return sent


def start_node():
    """The node begins when its cable is plugged."""
    log = (LOGS / "node.log").open("w")
    words = ["unshare", "--mount", "--net", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
    words += [sys.executable, str(INSIDE)]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    PROCESS.write_text(f"{process.pid}\n")
    network.plug(wait("the process of the node", lambda: child_of(process.pid), 20))
    return process


def child_of(pid):
    """The first process of new namespaces, once it is in them."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    own = os.readlink("/proc/self/ns/net")
    return next((child for child in children if os.readlink(f"/proc/{child}/ns/net") != own), None)


def alive(process):
    if process.poll() is not None:
        said = (LOGS / "node.log").read_text().strip()
        raise Trouble(f"the node has ended: {said}; the logs are in {LOGS}")
    return True


def answers(url):
    try:
        return urllib.request.urlopen(url, timeout=5).status == 200
    except OSError:
        return False


def kubectl(*words, given=None):
    """What kubectl says, or nothing where it fails."""
    command = [program("kubectl"), f"--kubeconfig={credentials.kubeconfig('admin')}", *words]
    done = subprocess.run(command, input=given, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def apply(*objects):
    for one in objects:
        if kubectl("apply", "-f", "-", given=json.dumps(one)) is None:
            raise Trouble(f"{one['kind']} {one['metadata']['name']} is refused")


def is_ready():
    nodes = json.loads(kubectl("get", "nodes", "--output=json") or '{"items": []}')["items"]
    conditions = [condition for one in nodes for condition in one["status"]["conditions"]]
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def name_server():
    """A Service for names, answered by the node itself."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "names", "namespace": "kube-system"},
        "spec": {"clusterIP": network.NAMES, "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}]},
    }
    endpoints = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": service["metadata"],
        "subsets": [
            {"addresses": [{"ip": network.NODE}], "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}]}
        ],
    }
    return {"apiVersion": "v1", "kind": "List", "metadata": {"name": "names"}, "items": [service, endpoints]}


def try_pod(image):
    """A pod runs, and finds the API server by its name."""
    script = "import socket; socket.create_connection(('kubernetes.default', 443), 5); print('reached')"
    container = {"name": "trial", "image": image, "command": ["python3", "-c", script]}
    apply({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "trial", "namespace": "default"},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    })  # fmt: skip
    phase = wait("the first pod", lambda: phase_of("trial") in ("Succeeded", "Failed") and phase_of("trial"))
    said = kubectl("logs", "trial")
    if phase != "Succeeded":
        raise Trouble(f"the first pod failed: {said}")
    kubectl("delete", "pod", "trial")


def phase_of(pod):
    return kubectl("get", "pod", pod, "--output=jsonpath={.status.phase}")


def make_groups():
    for hierarchy in hierarchies():
        (hierarchy / node.GROUP).mkdir(exist_ok=True)


def hierarchies():
    """The places of control groups: one of version 2, or several of version 1."""
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        return [root]
    return [place for place in root.iterdir() if (place / "cgroup.procs").exists() and not place.is_symlink()]


def down():
    """Ends what is there of it. What was built once stays."""
    if PROCESS.exists():
        pid = int(PROCESS.read_text())
        if is_ours(pid):
            # Its first process goes with it, and with that whatever is in the namespaces.
            os.kill(pid, signal.SIGKILL)
            wait("the end of the node", lambda: not is_ours(pid), 30)
    network.unplug()
    wait("the end of what ran in the node", remove_groups, 30)
    if LIVE.exists():
        shutil.rmtree(LIVE)
    for place in ("/var/lib/kubelet", "/var/lib/cni"):
        # They were made for the node; what is not empty is somebody else's.
        try:
            os.rmdir(place)
        except OSError:
            pass


def is_ours(pid):
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        return str(INSIDE) in words and Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except OSError:
        return False


def remove_groups():
    """Whether none of the node's control groups is left."""
    left = False
    for hierarchy in hierarchies():
        top = hierarchy / node.GROUP
        for folder, _, _ in os.walk(top, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                left = True
    return not left
