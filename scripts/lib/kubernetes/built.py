"""The programs of Kubernetes, built once from the distribution's source package."""

import re
import shutil
from pathlib import Path

from say import HOME, Trouble, call, environment, say

PROGRAMS = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"]
BIN = HOME / "bin"
GO = Path("/usr/lib/go-1.19/bin/go")
WORK = HOME / "build"
TREE = WORK / "go/src/k8s.io/kubernetes"


def build():
    """Builds what is not built yet: a quarter of an hour of one processor the first time, nothing later."""
    if all((BIN / name).exists() for name in PROGRAMS):
        return
    say("building Kubernetes from its source package (15 minutes of processor time, once)")
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    version = source()
    describe_api()
    fresh = WORK / "bin"
    fresh.mkdir()
    go("build", "-trimpath", "-ldflags", flags(version), "-o", f"{fresh}/", *(f"./cmd/{name}" for name in PROGRAMS))
    shutil.rmtree(BIN, ignore_errors=True)
    fresh.rename(BIN)
    shutil.rmtree(WORK)


def source():
    """Unpacks the source package, and gives the version that it says it is."""
    lists = WORK / "apt/lists"
    (lists / "partial").mkdir(parents=True)
    # The machine's own mirrors, asked for sources, without a change to what the machine has.
    entries = WORK / "apt/entries"
    entries.mkdir()
    for name, text in source_entries():
        (entries / name).write_text(text)
    private = ["-o", "Dir::Etc::sourcelist=/dev/null", "-o", f"Dir::Etc::sourceparts={entries}"]
    private += ["-o", f"Dir::State::lists={lists}", "-o", "APT::Sandbox::User=root"]
    call("apt-get", "update", "-qq", *private)
    call("apt-get", "source", "-qq", "--download-only", *private, "kubernetes", cwd=WORK)
    TREE.parent.mkdir(parents=True)
    # apt has checked the package against the signed lists.
    call("dpkg-source", "--no-check", "--extract", *WORK.glob("kubernetes_*.dsc"), TREE)
    package = next(WORK.glob("kubernetes_*.dsc")).name
    return re.search(r"(?:really)?(\d+\.\d+\.\d+)-", package)[1]


def source_entries():
    """The machine's package lists, turned into lists of sources."""
    apt = Path("/etc/apt")
    found = []
    for path in [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]:
        if not path.is_file():
            continue
        text = path.read_text()
        if path.suffix == ".sources":
            found.append((path.name, re.sub(r"^Types:.*$", "Types: deb-src", text, flags=re.M)))
        elif path.suffix == ".list":
            lines = [re.sub(r"^deb\s", "deb-src ", line) for line in text.splitlines() if line.startswith("deb ")]
            found.append((path.name, "\n".join(lines) + "\n"))
    if not found:
        raise Trouble("no package lists in /etc/apt: the source package of Kubernetes comes from there")
    return found


def describe_api():
    """Writes the one file that the source package leaves to its build: the API's description of itself."""
    tool = WORK / "openapi-gen"
    go("build", "-o", tool, "./vendor/k8s.io/kube-openapi/cmd/openapi-gen")
    marked = call("grep", "-rl", "--include=*.go", r"^\s*// +k8s:openapi-gen=", "pkg", "staging/src/k8s.io", cwd=TREE)
    skipped = ("staging/src/k8s.io/code-generator/", "staging/src/k8s.io/sample-apiserver/")
    folders = {str(Path(path).parent) for path in marked.splitlines() if not path.startswith(skipped)}
    packages = sorted(f"k8s.io/kubernetes/{folder.replace('staging/src', 'vendor')}" for folder in folders)
    go_path = WORK / "go"
    call(
        tool, "--output-base", go_path / "src", "--input-dirs", ",".join(packages),
        "--output-package", "k8s.io/kubernetes/pkg/generated/openapi", "--output-file-base", "zz_generated.openapi",
        "--go-header-file", TREE / "vendor/k8s.io/code-generator/hack/boilerplate.go.txt",
        "--report-filename", WORK / "violations", cwd=TREE, env=go_environment(),
    )  # fmt: skip


def flags(version):
    """What the programs say of their version when asked."""
    major, minor, _ = version.split(".")
    told = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    places = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"]
    packages = [*places, *(f"k8s.io/kubernetes/vendor/{place}" for place in places)]
    return " ".join(["-s -w", *(f"-X {package}.{name}={value}" for package in packages for name, value in told.items())])


def go(*words):
    call("nice", "-n", "10", GO, *words, cwd=TREE, env=go_environment())


def go_environment():
    path = f"{GO.parent}:/usr/sbin:/usr/bin:/sbin:/bin"
    return environment(
        PATH=path, GOPATH=WORK / "go", GOCACHE=WORK / "cache", GO111MODULE="off", CGO_ENABLED="0", GOFLAGS=""
    )
