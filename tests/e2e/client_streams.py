#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a program written with python3-kubernetes does at a pod: exec, and ports.

usage: client_streams.py KUBECONFIG POD; port 7 of the pod echoes, nothing listens at 1. Prints "ok"
or fails with what was not as expected.
"""

import os
import sys
import threading

from kubernetes import client, config, stream

WAIT_S = 30
SIZE = 5 << 20


def receive(sock, size):
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(size - len(data))
        assert piece, f"the connection ended after {len(data)} bytes"
        data += piece
    return bytes(data)


def execute(core, pod):
    shell = stream.stream(core.connect_get_namespaced_pod_exec, pod, "default", command=["sh"], stdin=True,
                          stdout=True, stderr=True, tty=False, _preload_content=False)
    shell.write_stdin("echo out; echo err >&2; exit 3\n")
    shell.run_forever(timeout=WAIT_S)
    assert (shell.read_stdout(), shell.read_stderr(), shell.returncode) == ("out\n", "err\n", 3)


def forward(core, pod):
    ports = stream.portforward(core.connect_get_namespaced_pod_portforward, pod, "default", ports="7,1")
    echo, nobody = ports.socket(7), ports.socket(1)
    echo.settimeout(WAIT_S)
    nobody.settimeout(WAIT_S)
    data = os.urandom(SIZE)
    sender = threading.Thread(target=echo.sendall, args=(data,))
    sender.start()
    assert receive(echo, SIZE) == data, "the same bytes in their order"
    sender.join()
    assert nobody.recv(1) == b"", "an error ends the connection"
    assert "connect to port 1 of the pod: Connection refused" in ports.error(1), ports.error(1)
    assert ports.error(7) is None, ports.error(7)
    ports.close()


def main():
    config.load_kube_config(sys.argv[1])
    # Debian 12's version does not know a kubeconfig's tls-server-name; the fabric's root it still demands.
    settings = client.Configuration.get_default_copy()
    settings.assert_hostname = False
    # Each with a client of its own: the library replaces the call of the one that it is given.
    for use in (execute, forward):
        use(client.CoreV1Api(client.ApiClient(settings)), sys.argv[2])
    print("ok")


if __name__ == "__main__":
    main()
