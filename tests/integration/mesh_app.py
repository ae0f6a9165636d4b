#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An application for a pod: usage: mesh_app.py NAME PORT, over TCP and UDP on the loopback.

A connection says one line: "who" is answered by NAME; "send N" by N bytes; "take" reads to the end
of what is sent and answers then with its length and hash; "hold" answers when the end has come.
"""
import hashlib
import socket
import socketserver
import sys
import threading

NAME, PORT = sys.argv[1], int(sys.argv[2])
BLOCK = bytes(range(256)) * 256


class Talk(socketserver.StreamRequestHandler):
    def handle(self):
        word, *rest = self.rfile.readline().decode().split()
        if word == "who":
            self.wfile.write(NAME.encode())
        elif word == "send":
            left = int(rest[0])
            while left > 0:
                self.wfile.write(BLOCK[:left])
                left -= min(left, len(BLOCK))
        elif word == "take":
            digest, length = hashlib.sha256(), 0
            while data := self.rfile.read1(1 << 16):
                digest.update(data)
                length += len(data)
            self.wfile.write(f"{length} {digest.hexdigest()}".encode())
        elif word == "hold":
            self.wfile.write(b"held\n")
            self.rfile.read()
            self.wfile.write(NAME.encode())


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 512


def answer_datagrams():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", PORT))
        while True:
            data, sender = udp.recvfrom(65536)
            udp.sendto(NAME.encode() + b" " + data, sender)


threading.Thread(target=answer_datagrams, daemon=True).start()
with Server(("127.0.0.1", PORT), Talk) as server:
    print("ready", flush=True)
    server.serve_forever()
