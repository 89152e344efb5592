"""The addresses of the cluster, and the cable between it and this machine."""

from say import Trouble, call

# This machine's end of the cable; the node's end; where pods and Services are.
MACHINE = "10.217.0.1"
NODE = "10.217.0.2"
PODS = "10.217.1.0/24"
SERVICES = "10.217.2.0/24"
NAMES = "10.217.2.10"
CABLE = "csw-cluster"
API = f"https://{NODE}:6443"
REGISTRY = f"{NODE}:5000"


def plug(pid):
    """Leads a cable from this machine into the network namespace of a process."""
    unplug()
    if "10.217." in call("ip", "-4", "route", "show"):
        raise Trouble("this machine has a route to 10.217.0.0/16 already, which the cluster wants for itself")
    call("ip", "link", "add", CABLE, "type", "veth", "peer", "name", "eth0", "netns", pid)
    call("ip", "address", "add", f"{MACHINE}/30", "dev", CABLE)
    call("ip", "link", "set", CABLE, "up")
    for there in (PODS, SERVICES):
        call("ip", "route", "add", there, "via", NODE)


def unplug():
    """Takes the cable away, with its routes; it goes by itself with the other end."""
    if CABLE in call("ip", "-brief", "link", "show"):
        call("ip", "link", "delete", CABLE)


def take():
    """The other end, called from inside."""
    call("ip", "link", "set", "lo", "up")
    call("ip", "address", "add", f"{NODE}/30", "dev", "eth0")
    call("ip", "link", "set", "eth0", "up")
    call("ip", "route", "add", "default", "via", MACHINE)
