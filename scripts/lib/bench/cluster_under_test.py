"""The cluster of the tests, and a site whose runs are Jobs in it."""

import json
import os
import socket
import subprocess

from site_under_test import PROGRAM, Failed, Server

# Beside the program: what stands for a cluster, for people, and for a Job that takes no time.
CLUSTER, DOOR, HELPER = (
    PROGRAM.with_name(name) for name in ("csw-test-cluster", "csw-kubernetes-door", "csw-kubernetes-helper")
)
NAMESPACE = "models"


def free_port():
    """A port that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Cluster:
    """An API server, and a node that runs Jobs as processes unless it is idle."""

    def __init__(self, folder, program=PROGRAM, claims=None, idle=False):
        for needed in (CLUSTER, DOOR, HELPER):
            if not needed.exists():
                raise Failed(f"{needed} is missing: let scripts/bench build what it measures, without CSW=")
        bin_folder = folder / "bin"
        bin_folder.mkdir(parents=True)
        (bin_folder / "csw").symlink_to(program)
        wanted = {"folder": str(folder), "namespace": NAMESPACE, "path": str(bin_folder), "idle": idle}
        wanted["claims"] = {name: str(place) for name, place in (claims or {}).items()}
        self.process = subprocess.Popen(
            [CLUSTER, json.dumps(wanted)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        said = json.loads(self.process.stdout.readline())
        self.url, self.token = said["url"], said["token"]
        self.variables = {"KUBECONFIG": said["kubeconfig"]}

    def counts(self):
        """How many requests for Jobs were carried out."""
        return self._ask("counts")

    def jobs(self):
        """Every Job there was, by name."""
        return self._ask("jobs")

    def _ask(self, word):
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        """End it, and what runs on its node."""
        self.process.stdin.close()
        self.process.wait(20)


class Site(Server):
    """A server whose runs go to a cluster."""

    def __init__(self, folder, jobs, **of_cluster):
        folder.mkdir()
        folder.chmod(0o711)
        self.folder = folder
        self.claims = {"csw-data": folder / "data"}
        self.cluster = Cluster(folder / "cluster", claims=self.claims, **of_cluster)
        settings = f"""executor = "kubernetes"
[kubernetes]
callback_listen = "127.0.0.1:{free_port()}"
image = "registry/csw:1"
volume_claim = "csw-data"
writes_per_second = 100000
jobs = {jobs}
cpus = 100000
memory_gigabytes = 1000000
"""
        super().__init__(folder, settings, self.cluster.variables)

    def move(self, **of_cluster):
        """Go on in another cluster."""
        self.stop()
        self.cluster.stop()
        self.cluster = Cluster(self.folder / f"cluster-{os.urandom(4).hex()}", claims=self.claims, **of_cluster)
        self.variables = self.cluster.variables

    def end(self):
        """Stop both."""
        self.stop()
        self.cluster.stop()
