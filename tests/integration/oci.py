# SPDX-License-Identifier: Apache-2.0
"""Images for tests, made here: an OCI layout in a tar file, from layers given as lists of files."""
import gzip
import hashlib
import io
import json
import tarfile

BUSYBOX = "/bin/busybox"
APPLETS = ["sh", "sleep", "cat", "echo", "httpd", "wget", "hostname", "ls", "id", "dd", "true", "env",
           "mount", "test", "kill", "ps", "nc", "seq", "touch", "nproc", "unshare", "date", "head",
           "ip", "stat", "grep", "pwd", "mkdir", "rm", "usleep"]


def tar_of(entries):
    """entries: (name, kind, content or target, mode)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, content, mode in entries:
            info = tarfile.TarInfo(name)
            info.mode = mode
            if kind == "file":
                data = content if isinstance(content, bytes) else content.encode()
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
                continue
            info.type = {"dir": tarfile.DIRTYPE, "link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE,
                         "char": tarfile.CHRTYPE}[kind]
            info.linkname = content or ""
            tar.addfile(info)
    return out.getvalue()


def busybox_layer():
    with open(BUSYBOX, "rb") as file:
        program = file.read()
    entries = [(name, "dir", None, 0o755) for name in ("bin", "etc", "tmp", "var", "home")]
    entries.append(("bin/busybox", "file", program, 0o755))
    entries += [("bin/" + name, "link", "busybox", 0o777) for name in APPLETS]
    entries.append(("etc/passwd", "file", "root:x:0:0::/:/bin/sh\nweb:x:1000:1000::/:/bin/sh\n", 0o644))
    entries.append(("etc/group", "file", "root:x:0:\nweb:x:1000:\nlogs:x:44:web\n", 0o644))
    return tar_of(entries)


def write_archive(path, layers, config, ref):
    blobs = {}

    def add(data):
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"digest": "sha256:" + digest, "size": len(data)}

    descriptors = []
    for layer in layers:
        descriptors.append({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                            **add(gzip.compress(layer, 1, mtime=0))})
    image = {"architecture": "amd64", "os": "linux", "config": config,
             "rootfs": {"type": "layers",
                        "diff_ids": ["sha256:" + hashlib.sha256(x).hexdigest() for x in layers]}}
    config_descriptor = {"mediaType": "application/vnd.oci.image.config.v1+json",
                         **add(json.dumps(image).encode())}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": config_descriptor, "layers": descriptors}
    descriptor = {"mediaType": "application/vnd.oci.image.manifest.v1+json",
                  **add(json.dumps(manifest).encode()),
                  "annotations": {"org.opencontainers.image.ref.name": ref}}
    files = [("oci-layout", "file", '{"imageLayoutVersion":"1.0.0"}', 0o644),
             ("index.json", "file", json.dumps({"schemaVersion": 2, "manifests": [descriptor]}), 0o644)]
    files += [("blobs/sha256/" + digest, "file", data, 0o644) for digest, data in blobs.items()]
    with open(path, "wb") as out:
        out.write(tar_of(files))


def busybox_archive(path, ref="localhost/busybox:1", **config):
    write_archive(path, [busybox_layer()],
                  {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin", "FROM_IMAGE=yes"], **config}, ref)
