"""Names of Services for the pods of the cluster: `csw-callbacks.studio`, as any cluster has them.

Speaks as much of the protocol as a resolver of a C library asks: an A record of a name, one question at a time.
"""

import json
import socketserver
import struct
import subprocess
import sys
import threading
import time

import credentials
from programs import program

SUFFIX = ".svc.cluster.local"
A, IN = 1, 1
ANSWER, NO_SUCH_NAME = 0x8580, 0x8583

known = {}


def follow():
    """Knows what Services there are, a second later."""
    words = [program("kubectl"), f"--kubeconfig={credentials.kubeconfig('controllers')}"]
    words += ["get", "services", "--all-namespaces", "--output=json"]
    while True:
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode == 0:
            found = {}
            for item in json.loads(done.stdout)["items"]:
                name = f"{item['metadata']['name']}.{item['metadata']['namespace']}{SUFFIX}"
                found[name] = item["spec"].get("clusterIP", "None")
            known.clear()
            known.update(found)
        time.sleep(1)


def answer(packet):
    identity, _, questions = struct.unpack_from("!HHH", packet)
    if questions != 1:
        return None
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode("ascii", "replace").lower())
        at += 1 + packet[at]
    question = packet[12 : at + 5]
    (kind,) = struct.unpack_from("!H", packet, at + 1)
    address = known.get(".".join(labels))
    record = b""
    if address not in (None, "None") and kind == A:
        digits = bytes(int(part) for part in address.split("."))
        record = struct.pack("!HHHIH", 0xC00C, A, IN, 5, 4) + digits
    flags = NO_SUCH_NAME if address is None else ANSWER
    return struct.pack("!HHHHHH", identity, flags, 1, 1 if record else 0, 0, 0) + question + record


class Asked(socketserver.BaseRequestHandler):
    def handle(self):
        packet, socket = self.request
        if reply := answer(packet):
            socket.sendto(reply, self.client_address)


if __name__ == "__main__":
    threading.Thread(target=follow, daemon=True).start()
    with socketserver.ThreadingUDPServer((sys.argv[1], 53), Asked) as server:
        server.serve_forever()
