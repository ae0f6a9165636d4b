# SPDX-License-Identifier: Apache-2.0
"""Port-forward as client libraries speak it, v4.channel.k8s.io, byte by byte against the gateway over
a fabric in memory (tests/unit/api/fake_port.c): port 7 echoes, 13 greets and ends, others refuse."""

import base64
import hashlib
import os
import socket
import struct
import time

import pytest

from test_gateway_fake import PODS, ask, pod, port  # noqa: F401  pylint: disable=unused-import

PROTOCOL = "v4.channel.k8s.io"
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BINARY, CLOSE, PING, PONG = 2, 8, 9, 10
FINAL, MASKED = 0x80, 0x80
WAIT_S = 20


class WebSocket:
    """The client's side of RFC 6455."""

    def __init__(self, port, path, protocol=PROTOCOL):
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
        self.socket.sendall((
            f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            f"Sec-WebSocket-Protocol: {protocol}\r\n\r\n").encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = dict(line.decode().strip().lower().split(": ", 1)
                            for line in iter(self.file.readline, b"\r\n"))
        if self.status == 101:
            accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
            assert self.headers["sec-websocket-accept"] == accept.lower()
            assert self.headers["sec-websocket-protocol"] == protocol

    def send(self, opcode, payload, final=True):
        mask = os.urandom(4)
        size = len(payload)
        head = bytes([(FINAL if final else 0) | opcode])
        if size < 126:
            head += bytes([MASKED | size])
        elif size < 1 << 16:
            head += bytes([MASKED | 126]) + struct.pack(">H", size)
        else:
            head += bytes([MASKED | 127]) + struct.pack(">Q", size)
        stream = (mask * (size // 4 + 1))[:size]
        masked = (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")
        self.socket.sendall(head + mask + masked)

    def receive(self):
        """One frame: its opcode and what it carries."""
        first, second = self.file.read(2)
        assert first & FINAL and not second & MASKED
        size = second
        if size == 126:
            size, = struct.unpack(">H", self.file.read(2))
        elif size == 127:
            size, = struct.unpack(">Q", self.file.read(8))
        return first & 15, self.file.read(size)

    def channel(self, channel, size):
        """Exactly the next bytes on one channel; nothing may come on another."""
        found = b""
        while len(found) < size:
            opcode, payload = self.receive()
            assert (opcode, payload[0]) == (BINARY, channel), payload
            found += payload[1:]
        assert len(found) == size
        return found

    def ends(self):
        assert self.receive() == (CLOSE, struct.pack(">H", 1000))
        self.send(CLOSE, struct.pack(">H", 1000))
        assert self.file.read() == b""

    def close(self):
        self.file.close()
        self.socket.close()


@pytest.fixture
def forward(port):  # noqa: F811
    """A function that forwards ports of a pod that runs."""
    ask(port, "POST", PODS, pod("box"))
    deadline = time.monotonic() + WAIT_S
    while ask(port, "GET", f"{PODS}/box")[1]["status"]["phase"] != "Running":
        assert time.monotonic() < deadline, "the pod does not run"
    opened = []

    def opener(query, **options):
        opened.append(WebSocket(port, f"{PODS}/box/portforward{query}", **options))
        return opened[-1]
    yield opener
    for client in opened:
        client.close()


def announced(client, *ports):
    for i, number in enumerate(ports):
        for channel in (2 * i, 2 * i + 1):
            assert client.receive() == (BINARY, bytes([channel]) + struct.pack("<H", number))


def test_a_port_is_announced_and_carries_bytes(forward):
    client = forward("?ports=7")
    assert client.status == 101
    announced(client, 7)
    client.send(BINARY, b"\0hello")
    assert client.channel(0, 5) == b"hello"
    client.send(PING, b"there?")
    assert client.receive() == (PONG, b"there?")


def test_a_megabyte_comes_back_in_order(forward):
    client = forward("?ports=7")
    announced(client, 7)
    data = os.urandom(1 << 20)
    for at in range(0, len(data), 1 << 17):
        client.send(BINARY, b"\0" + data[at:at + (1 << 17)])
    found = b""
    while len(found) < len(data):
        opcode, payload = client.receive()
        assert (opcode, payload[0]) == (BINARY, 0)
        found += payload[1:]
    assert found == data


def test_a_message_in_fragments_is_one_message(forward):
    client = forward("?ports=7")
    announced(client, 7)
    client.send(BINARY, b"\0he", final=False)
    client.send(0, b"\1lo")  # continued: no channel here
    assert client.channel(0, 5) == b"he\1lo"


@pytest.mark.parametrize("query", ["?ports=7,13,7", "?ports=7&ports=13&ports=7"])
def test_several_ports_do_not_mix(forward, query):
    client = forward(query)
    announced(client, 7, 13, 7)
    assert client.channel(2, 9) == b"good day\n"
    client.send(BINARY, b"\0first")
    assert client.channel(0, 5) == b"first"
    client.send(BINARY, b"\4third")
    assert client.channel(4, 5) == b"third"
    client.send(BINARY, b"\2has ended")
    client.send(BINARY, b"\1not for clients")
    client.send(BINARY, b"\x09no such channel")
    client.send(BINARY, b"")
    client.send(BINARY, b"\0still")
    assert client.channel(0, 5) == b"still"


def test_it_ends_with_its_last_connection(forward):
    client = forward("?ports=13,13")
    announced(client, 13, 13)
    assert {client.receive(), client.receive()} == {(BINARY, b"\0good day\n"), (BINARY, b"\2good day\n")}
    client.ends()


def test_what_went_wrong_is_told_on_the_channel_of_errors(forward):
    client = forward("?ports=9")
    announced(client, 9)
    assert client.receive() == (BINARY, b"\1connection refused")
    client.ends()


@pytest.mark.parametrize("query, why", [
    ("", "is required"), ("?ports=", "between 1 and 65535"), ("?ports=0", "between 1 and 65535"),
    ("?ports=65536", "between 1 and 65535"), ("?ports=99999999999999999999", "between 1 and 65535"),
    ("?ports=7,", "between 1 and 65535"), ("?ports=+7", "between 1 and 65535"),
    ("?ports=" + ",".join(["7"] * 101), "too many")])
def test_ports_that_make_no_sense_are_refused(forward, query, why):
    client = forward(query)
    assert client.status == 400
    assert why.encode() in client.file.read(int(client.headers["content-length"]))


def test_a_client_that_leaves_is_forgotten(forward, port):  # noqa: F811
    client = forward("?ports=7,7")
    announced(client, 7, 7)
    client.send(CLOSE, struct.pack(">H", 1000))
    assert client.receive()[0] == CLOSE
    assert client.file.read() == b""
    assert ask(port, "GET", f"{PODS}/box")[0].status == 200


def test_nonsense_ends_the_connection_alone(forward, port):  # noqa: F811
    client = forward("?ports=7")
    announced(client, 7)
    client.socket.sendall(b"\xff" * 64)
    client.file.read()
    assert ask(port, "GET", f"{PODS}/box")[0].status == 200
