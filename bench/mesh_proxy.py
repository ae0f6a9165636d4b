# SPDX-License-Identifier: Apache-2.0
"""Pairs of TLS proxies of Debian's, for comparison: each checks the other's certificate."""
import glob
import os
import shutil
import subprocess

NAMES = ("stunnel", "nginx", "haproxy")
PACKAGES = {"stunnel": ["stunnel4"], "nginx": ["nginx", "libnginx-mod-stream"], "haproxy": ["haproxy"]}
CIPHER = "TLS_AES_128_GCM_SHA256"  # what two agents agree on
LIBRARIES = "usr/lib/x86_64-linux-gnu"

STUNNEL = """
foreground = yes
pid =
syslog = no
debug = warning
[bench]
{client}
accept = {accept}
connect = {connect}
cert = {files}/{side}.pem
key = {files}/{side}.key
CAfile = {files}/ca.pem
verifyChain = yes
requireCert = yes
sslVersionMin = TLSv1.3
ciphersuites = {cipher}
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
"""

NGINX = """
load_module {module};
daemon off;
worker_processes auto;
worker_rlimit_nofile 16384;
pid {files}/nginx-{side}.pid;
error_log {files}/nginx-{side}.log warn;
events {{ worker_connections 8192; }}
stream {{
	server {{
		{listen}
		proxy_pass {connect};
	}}
}}
"""

NGINX_NEAR = """
		listen {accept} backlog=4096;
		proxy_ssl on;
		proxy_ssl_certificate {files}/near.pem;
		proxy_ssl_certificate_key {files}/near.key;
		proxy_ssl_trusted_certificate {files}/ca.pem;
		proxy_ssl_verify on;
		proxy_ssl_name far;
		proxy_ssl_protocols TLSv1.3;
		proxy_ssl_conf_command Ciphersuites {cipher};
"""

NGINX_FAR = """
		listen {accept} ssl backlog=4096;
		ssl_certificate {files}/far.pem;
		ssl_certificate_key {files}/far.key;
		ssl_client_certificate {files}/ca.pem;
		ssl_verify_client on;
		ssl_protocols TLSv1.3;
		ssl_conf_command Ciphersuites {cipher};
"""

HAPROXY = """
global
	maxconn 4000
	ssl-default-bind-ciphersuites {cipher}
	ssl-default-server-ciphersuites {cipher}
	ssl-default-bind-options ssl-min-ver TLSv1.3
	ssl-default-server-options ssl-min-ver TLSv1.3
defaults
	mode tcp
	timeout connect 5s
	timeout client 1h
	timeout server 1h
listen bench
	bind {accept} {bind} backlog 4096
	server other {connect} {server}
"""


def run(*words, **options):
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=300, **options)


def make_certificates(files):
    """An authority, and a leaf of its for each side; Ed25519, as agents have."""
    for name in ("ca", "near", "far"):
        run("openssl", "genpkey", "-algorithm", "ed25519", "-out", f"{files}/{name}.key")
    run("openssl", "req", "-x509", "-key", f"{files}/ca.key", "-subj", "/CN=bench", "-days", "2",
        "-out", f"{files}/ca.pem")
    for name in ("near", "far"):
        with open(f"{files}/{name}.ext", "w", encoding="ascii") as file:
            file.write(f"subjectAltName=DNS:{name}\n")
        run("openssl", "req", "-new", "-key", f"{files}/{name}.key", "-subj", f"/CN={name}",
            "-out", f"{files}/{name}.csr")
        run("openssl", "x509", "-req", "-in", f"{files}/{name}.csr", "-CA", f"{files}/ca.pem",
            "-CAkey", f"{files}/ca.key", "-CAcreateserial", "-days", "2", "-extfile",
            f"{files}/{name}.ext", "-out", f"{files}/{name}.pem")


class Proxies:
    """Where the programs are, and those that run."""

    def __init__(self, directory, files):
        self.directory, self.files = directory, os.path.join(files, "proxies")
        os.makedirs(self.files)
        make_certificates(self.files)
        for name in os.listdir(self.files):
            os.chmod(os.path.join(self.files, name), 0o644)  # for this run only, and proves nothing
        self.processes = []

    def find(self, program):
        for place in (f"{self.directory}/usr/sbin", f"{self.directory}/usr/bin", "/usr/sbin", "/usr/bin"):
            if os.access(os.path.join(place, program), os.X_OK):
                return os.path.join(place, program)
        return None

    def provide(self, name):
        """The program; what it needs is fetched first if the machine does not have it."""
        program = "stunnel4" if name == "stunnel" else name
        if self.find(program):
            return self.find(program)
        archives = os.path.join(self.directory, "archives")
        os.makedirs(os.path.join(archives, "partial"), exist_ok=True)
        shutil.chown(os.path.join(archives, "partial"), "_apt")
        words = ["apt-get", "-qq", "-y", "-o", f"Dir::Cache::archives={archives}", "--download-only",
                 "--no-install-recommends", "install", *PACKAGES[name]]
        if subprocess.run(words, capture_output=True, check=False, timeout=300).returncode != 0:
            run("apt-get", "-qq", "update")
            run(*words)
        for package in glob.glob(f"{archives}/*.deb"):
            run("dpkg", "-x", package, self.directory)
        return self.find(program)

    def module(self):
        for place in (self.directory, ""):
            path = f"{place}/usr/lib/nginx/modules/ngx_stream_module.so"
            if os.path.exists(path):
                return path
        raise RuntimeError("nginx has no stream module: install libnginx-mod-stream")

    def start_one(self, name, side, network, accept, connect):
        config = os.path.join(self.files, f"{name}-{side}.conf")
        words = {"files": self.files, "side": side, "accept": accept, "connect": connect, "cipher": CIPHER}
        program = self.provide(name)
        if name == "stunnel":
            text = STUNNEL.format(client="client = yes" if side == "near" else "", **words)
            arguments = [config]
        elif name == "nginx":
            listen = (NGINX_NEAR if side == "near" else NGINX_FAR).format(**words)
            text = NGINX.format(listen=listen, module=self.module(), **words)
            arguments = ["-c", config, "-p", self.files, "-e", f"{self.files}/nginx-{side}.log"]
        else:
            tls = f"ssl crt {self.files}/{side}-both.pem ca-file {self.files}/ca.pem verify required"
            with open(f"{self.files}/{side}-both.pem", "w", encoding="ascii") as both:
                for part in ("pem", "key"):
                    with open(f"{self.files}/{side}.{part}", encoding="ascii") as file:
                        both.write(file.read())
            text = HAPROXY.format(bind="" if side == "near" else tls,
                                  server=f"{tls} verifyhost far" if side == "near" else "", **words)
            arguments = ["-db", "-f", config]
        with open(config, "w", encoding="ascii") as file:
            file.write(text)
        libraries = os.path.join(self.directory, LIBRARIES)
        with open(os.path.join(self.files, f"{name}-{side}.said"), "wb") as said:
            process = subprocess.Popen(["ip", "netns", "exec", network, program, *arguments],
                                       env=os.environ | {"LD_LIBRARY_PATH": libraries}, stderr=said,
                                       stdout=said)
        self.processes.append(process)
        return process

    def start(self, name, near, far, server_port):
        """The two processes of a pair: @near is (network, port), @far (network, address, port)."""
        return (self.start_one(name, "near", near[0], f"127.0.0.1:{near[1]}", f"{far[1]}:{far[2]}"),
                self.start_one(name, "far", far[0], f"{far[1]}:{far[2]}", f"127.0.0.1:{server_port}"))

    def close(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
