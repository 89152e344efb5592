"""The one node, from the inside: a process with mounts, processes and a network of its own, in which everything runs.

Started by `cluster.py` in new namespaces, as their first process: when it ends, the kernel ends whatever is in them, and
no mount, process, address or rule of a firewall is left on the machine.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import credentials
import network
from parts import found
from programs import folder, is_before, program
from say import LIVE, LOGS, call

SOCKET = "/run/containerd/containerd.sock"
# The folder of the node's control groups, in every hierarchy. Those called csw-... are removed by any csw where nobody is in them.
GROUP = "kubernetes-of-tests"
# What the kubelet wants of the machine's kernel is shown to it and left as it is.
WANTED = {"vm/overcommit_memory": "1", "kernel/panic": "10", "kernel/panic_on_oops": "1"}


def main():
    while "eth0" not in call("ip", "-brief", "link", "show"):
        time.sleep(0.05)
    network.take()
    own_places()
    daemons = [start(*words) for words in (registry(), etcd(), api_server())]
    # Whoever finds nobody there gives up.
    while not is_served():
        time.sleep(0.2)
    daemons += [start(*words) for words in (controllers(), scheduler(), proxy(), names(), policies(), containerd())]
    while not Path(SOCKET).exists():
        time.sleep(0.05)
    daemons.append(start(*kubelet()))
    watch(daemons)


def is_served():
    words = [program("kubectl"), f"--kubeconfig={credentials.kubeconfig('admin')}", "get", "--raw", "/readyz"]
    return subprocess.run(words, capture_output=True).stdout == b"ok"


def own_places():
    """What programs have at fixed places is put elsewhere, and kernel settings are written to nobody."""
    for place in ("/run", "/var/log", "/var/lib/kubelet", "/var/lib/cni"):
        own = LIVE / "places" / place.strip("/").replace("/", "-")
        own.mkdir(parents=True, exist_ok=True)
        Path(place).mkdir(parents=True, exist_ok=True)
        call("mount", "--bind", own, place)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    for name, value in WANTED.items():
        shown = LIVE / "places" / name.replace("/", "-")
        shown.write_text(value + "\n")
        call("mount", "--bind", shown, f"/proc/sys/{name}")


def start(name, *words):
    log = (LOGS / f"{name}.log").open("a")
    path = f"{folder()}:{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin:/bin"
    process = subprocess.Popen(
        [str(word) for word in words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "PATH": path}
    )
    return name, process


def watch(daemons):
    """Stays as long as all of them do; reaps what containers leave behind."""
    while True:
        pid, status = os.wait()
        for name, process in daemons:
            if process.pid == pid:
                sys.exit(f"{name} ended with {os.waitstatus_to_exitcode(status)}")


def written(name, value):
    path = LIVE / name
    path.write_text(value if isinstance(value, str) else json.dumps(value, indent=2))
    return path


def registry():
    settings = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(LIVE / "registry")}},
        "http": {"addr": network.REGISTRY, "secret": "tests"},
    }
    return "registry", found("docker-registry"), "serve", written("registry.yml", settings)


def etcd():
    client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
    return (
        "etcd", found("etcd"), "--data-dir", LIVE / "etcd", "--unsafe-no-fsync",
        "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
        "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
    )  # fmt: skip


def api_server():
    secrets = credentials.PLACE
    return (
        "api-server", program("kube-apiserver"), "--etcd-servers=http://127.0.0.1:2379",
        f"--bind-address={network.NODE}", f"--advertise-address={network.NODE}", "--secure-port=6443",
        f"--tls-cert-file={secrets}/api.pem", f"--tls-private-key-file={secrets}/api-key.pem",
        f"--client-ca-file={credentials.AUTHORITY}", f"--token-auth-file={credentials.TOKENS}",
        f"--kubelet-client-certificate={secrets}/api-to-node.pem",
        f"--kubelet-client-key={secrets}/api-to-node-key.pem", "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={secrets}/accounts.pem",
        f"--service-account-signing-key-file={secrets}/accounts-key.pem",
        f"--service-cluster-ip-range={network.SERVICES}",
        "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", *times_to_live("kube-apiserver"),
    )  # fmt: skip


def controllers():
    return (
        "controllers", program("kube-controller-manager"), f"--kubeconfig={credentials.kubeconfig('controllers')}",
        "--use-service-account-credentials=true", "--secure-port=0", "--leader-elect=false",
        f"--service-account-private-key-file={credentials.PLACE}/accounts-key.pem",
        f"--root-ca-file={credentials.AUTHORITY}", *no_port("kube-controller-manager"),
        *times_to_live("kube-controller-manager"),
    )  # fmt: skip


def scheduler():
    return (
        "scheduler", program("kube-scheduler"), f"--kubeconfig={credentials.kubeconfig('scheduler')}",
        "--secure-port=0", "--leader-elect=false", *no_port("kube-scheduler"),
    )  # fmt: skip


def no_port(name):
    """A port without encryption, which former releases open if not told otherwise."""
    return ["--port=0"] if is_before(name, 22) else []


def times_to_live(name):
    """Jobs that go by themselves, which former releases do only when told."""
    return ["--feature-gates=TTLAfterFinished=true"] if is_before(name, 21) else []


def proxy():
    settings = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "hostnameOverride": credentials.NAME,
        "clusterCIDR": network.PODS,
        "clientConnection": {"kubeconfig": str(credentials.kubeconfig("proxy"))},
        # The table of connections is the machine's.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpCloseWaitTimeout": "0s", "tcpEstablishedTimeout": "0s"},
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
    }
    return "proxy", program("kube-proxy"), f"--config={written('proxy.json', settings)}"


def names():
    return "names", sys.executable, Path(__file__).with_name("names.py"), network.NODE


def policies():
    return "policies", sys.executable, Path(__file__).with_name("policies.py")


def containerd():
    mirror = LIVE / "registries" / network.REGISTRY
    mirror.mkdir(parents=True, exist_ok=True)
    (mirror / "hosts.toml").write_text(f'[host."http://{network.REGISTRY}"]\ncapabilities = ["pull", "resolve"]\n')
    networks = LIVE / "networks"
    networks.mkdir(exist_ok=True)
    routes = [{"dst": "0.0.0.0/0"}]
    addresses = {"type": "host-local", "ranges": [[{"subnet": network.PODS}]], "routes": routes}
    # What is between two pods passes the node, which keeps their policies.
    cable = {"type": "ptp", "ipam": addresses}
    written("networks/10-pods.conflist", {"cniVersion": "0.4.0", "name": "pods", "plugins": [cable]})
    cri = "io.containerd.grpc.v1.cri"
    settings = f"""
version = 2
root = "{LIVE}/containerd"
state = "/run/containerd/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "{SOCKET}"
[plugins."{cri}"]
  sandbox_image = "{network.REGISTRY}/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
[plugins."{cri}".registry]
  config_path = "{LIVE}/registries"
[plugins."{cri}".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{networks}"
[plugins."{cri}".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."{cri}".containerd.runtimes.runc.options]
  BinaryName = "{found('runc')}"
"""
    return "containerd", found("containerd"), "--config", written("containerd.toml", settings)


def kubelet():
    settings = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": network.NODE,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{GROUP}",
        "oomScoreAdj": 0,
        "maxOpenFiles": 20000,
        "failSwapOn": False,
        "resolvConf": str(written("resolv.conf", "")),
        "clusterDomain": "cluster.local",
        "clusterDNS": [network.NAMES],
        "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": str(credentials.AUTHORITY)}},
        "authorization": {"mode": "Webhook"},
        "serializeImagePulls": False,
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    }
    runtime = ["--container-runtime=remote", f"--container-runtime-endpoint=unix://{SOCKET}"]
    if not is_before("kubelet", 27):
        runtime = []
        settings["containerRuntimeEndpoint"] = f"unix://{SOCKET}"
    if not is_before("kubelet", 31):
        # Some day none will run where control groups are of version 1; until then, it does so when told.
        settings["failCgroupV1"] = False
    return (
        "kubelet", program("kubelet"), f"--config={written('kubelet.json', settings)}",
        f"--kubeconfig={credentials.kubeconfig('node')}", f"--hostname-override={credentials.NAME}",
        f"--node-ip={network.NODE}", "--root-dir=/var/lib/kubelet", *runtime,
    )  # fmt: skip


if __name__ == "__main__":
    main()
