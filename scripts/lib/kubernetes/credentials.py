"""Keys, certificates and tokens of a cluster that lives for an hour."""

import json
import secrets

from network import API, NODE, SERVICES
from say import LIVE, call

PLACE = LIVE / "credentials"
AUTHORITY = PLACE / "authority.pem"
TOKENS = PLACE / "tokens.csv"
NAME = "csw-node"

# Who speaks to the API server, in which groups.
USERS = {
    "admin": ("admin", "system:masters"),
    "controllers": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "proxy": ("system:kube-proxy", ""),
    "node": (f"system:node:{NAME}", "system:nodes"),
}


def make():
    PLACE.mkdir(mode=0o700)
    openssl("genrsa", "-out", PLACE / "authority-key.pem", "2048")
    openssl("req", "-x509", "-new", "-key", PLACE / "authority-key.pem", "-subj", "/CN=csw-test", "-days", "30",
            "-out", AUTHORITY)  # fmt: skip
    first_service = SERVICES.replace(".0/24", ".1")
    names = ["DNS:kubernetes", "DNS:kubernetes.default", "DNS:kubernetes.default.svc", "IP:127.0.0.1"]
    certificate("api", "/CN=kube-apiserver", ",".join([*names, f"IP:{NODE}", f"IP:{first_service}"]))
    # By it the node knows who asks for logs and ports of pods.
    certificate("api-to-node", "/O=system:masters/CN=kube-apiserver-kubelet-client", "DNS:kube-apiserver")
    openssl("genrsa", "-out", PLACE / "accounts-key.pem", "2048")
    openssl("rsa", "-in", PLACE / "accounts-key.pem", "-pubout", "-out", PLACE / "accounts.pem")
    lines = []
    for name, (user, group) in USERS.items():
        token = secrets.token_hex(32)
        lines.append(f'{token},{user},{name},"{group}"\n')
        kubeconfig(name).write_text(json.dumps(access(name, token), indent=2))
        kubeconfig(name).chmod(0o600)
    TOKENS.write_text("".join(lines))


def kubeconfig(name):
    return PLACE / f"{name}.kubeconfig"


def access(name, token):
    cluster = {"server": API, "certificate-authority": str(AUTHORITY)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "csw-test", "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": "csw-test", "context": {"cluster": "csw-test", "user": name}}],
        "current-context": "csw-test",
    }


def certificate(name, subject, alternatives):
    request, extensions = PLACE / f"{name}.csr", PLACE / f"{name}.ext"
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", PLACE / f"{name}-key.pem", "-subj", subject,
            "-out", request)  # fmt: skip
    extensions.write_text(f"subjectAltName={alternatives}\nextendedKeyUsage=serverAuth,clientAuth\n")
    openssl("x509", "-req", "-in", request, "-CA", AUTHORITY, "-CAkey", PLACE / "authority-key.pem", "-CAcreateserial",
            "-days", "30", "-extfile", extensions, "-out", PLACE / f"{name}.pem")  # fmt: skip


def openssl(*words):
    call("openssl", *words)
