"""What the NetworkPolicies of the cluster say, kept by the firewall of the node: `networking.k8s.io/v1`, as any network that
keeps them does, for what `csw svc config` writes: selectors of pods in the own namespace, blocks of addresses, ports by number.

Pods are behind routes, not behind a bridge, so that whatever leaves or reaches one is forwarded by the node, or is the node's.
"""

import ipaddress
import json
import ssl
import subprocess
import sys
import time
import urllib.request

import credentials
from network import API
from parts import found

CHAIN = "CSW-POLICIES"
# Between two looks. A pod may be up for so long before its policies are.
LOOK = 0.25


def main():
    token = json.loads(credentials.kubeconfig("admin").read_text())["users"][0]["user"]["token"]
    kept = None
    while True:
        try:
            pods = listed("/api/v1/pods", token)
            policies = listed("/apis/networking.k8s.io/v1/networkpolicies", token)
        except OSError as error:
            print(f"the API server does not answer: {error}", file=sys.stderr, flush=True)
        else:
            wanted = rules(pods, policies)
            if wanted != kept:
                restore(wanted)
                kept = wanted
        time.sleep(LOOK)


def listed(path, token):
    request = urllib.request.Request(API + path, headers={"Authorization": f"Bearer {token}"})
    trust = ssl.create_default_context(cafile=credentials.AUTHORITY)
    with urllib.request.urlopen(request, timeout=5, context=trust) as answer:
        return json.load(answer)["items"]


def rules(pods, policies):
    """The whole table, for `iptables-restore`: a chain for each direction of each pod that a policy selects."""
    pods = [pod for pod in pods if address(pod) and pod["status"]["phase"] in ("Pending", "Running")]
    chains, jumps, inside = [CHAIN], [], []
    for number, pod in enumerate(sorted(pods, key=address)):
        own = [policy for policy in policies if is_of(policy, pod) and selects(policy["spec"]["podSelector"], pod)]
        for kind, flag, peers in (("Egress", "-s", "to"), ("Ingress", "-d", "from")):
            applied = [policy for policy in own if kind in policy["spec"]["policyTypes"]]
            if not applied:
                continue
            chain = f"CSW-{kind.upper()}-{number}"
            chains.append(chain)
            jumps.append(f"-A {CHAIN} {flag} {address(pod)} -j {chain}")
            for policy in applied:
                for rule in policy["spec"].get(kind.lower()) or []:
                    inside += allowed(chain, rule, peers, pod, pods)
            inside.append(f"-A {chain} -j REJECT --reject-with icmp-admin-prohibited")
    lines = ["*filter", *(f":{chain} - [0:0]" for chain in chains)]
    lines.append(f"-A {CHAIN} -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN")
    return "\n".join([*lines, *jumps, *inside, "COMMIT", ""])


def allowed(chain, rule, peers, pod, pods):
    """The lines of one rule of a policy. What they say may pass goes back to whoever looks at the other direction."""
    away = "-d" if peers == "to" else "-s"
    places = [[]]
    if rule.get(peers):
        places = [place for peer in rule[peers] for place in places_of(peer, away, pod, pods)]
    ports = [["-p", port.get("protocol", "TCP").lower(), "--dport", str(port["port"])] for port in rule.get("ports") or []]
    return [" ".join(["-A", chain, *place, *port, "-j", "RETURN"]) for place in places for port in ports or [[]]]


def places_of(peer, away, pod, pods):
    unknown = set(peer) - {"podSelector", "ipBlock"}
    if unknown:
        raise SystemExit(f"a policy of {pod['metadata']['namespace']} selects by {unknown}, which is not kept here")
    if block := peer.get("ipBlock"):
        if ":" in block["cidr"]:
            return []
        return [[away, network] for network in without(block["cidr"], block.get("except") or [])]
    same = [other for other in pods if is_of(pod, other) and selects(peer["podSelector"], other)]
    return [[away, address(other)] for other in same]


def without(cidr, holes):
    """A block of addresses as blocks, those left out that are not meant."""
    left = [ipaddress.ip_network(cidr)]
    for hole in map(ipaddress.ip_network, holes):
        left = [part for block in left for part in (block.address_exclude(hole) if hole.subnet_of(block) else [block])]
    return map(str, left)


def address(pod):
    return pod["status"].get("podIP")


def is_of(one, other):
    return one["metadata"]["namespace"] == other["metadata"]["namespace"]


def selects(selector, pod):
    labels = pod["metadata"].get("labels") or {}
    if any(labels.get(name) != value for name, value in (selector.get("matchLabels") or {}).items()):
        return False
    for wanted in selector.get("matchExpressions") or []:
        value = labels.get(wanted["key"])
        if wanted["operator"] != "In":
            raise SystemExit(f"a policy selects by {wanted['operator']}, which is not kept here")
        if value not in wanted["values"]:
            return False
    return True


def restore(table):
    """Changes the whole at once. The chain is asked first of what is forwarded, and of what is for the node."""
    subprocess.run([found("iptables-restore"), "--wait", "--noflush"], input=table, text=True, check=True)
    for hook in ("FORWARD", "INPUT"):
        jump = [found("iptables"), "--wait"]
        if subprocess.run([*jump, "--check", hook, "-j", CHAIN], capture_output=True).returncode:
            subprocess.run([*jump, "--insert", hook, "-j", CHAIN], check=True)


if __name__ == "__main__":
    main()
