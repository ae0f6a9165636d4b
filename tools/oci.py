# SPDX-License-Identifier: Apache-2.0
"""Writes OCI image archives: the same content gives the same bytes, whoever runs it and when.

An image is a list of layers; a layer is a dict of absolute path -> Entry. The archive can be read by
skopeo (oci-archive:FILE) and by `magik image load FILE`.
"""
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile


class Entry:
    """One file of a layer: content, or a link's target, or a directory when both are None."""

    def __init__(self, content=None, link=None, mode=None, uid=0):
        self.content = content
        self.link = link
        self.mode = mode if mode is not None else (0o755 if content is None else 0o644)
        self.uid = uid

    @staticmethod
    def copy(path):
        """The content of a file of this machine, executable if it is."""
        with open(path, "rb") as file:
            return Entry(file.read(), mode=0o755 if os.access(path, os.X_OK) else 0o644)


def architecture():
    """The machine's architecture by its OCI name, which is Debian's."""
    out = subprocess.run(["dpkg", "--print-architecture"], check=True, stdout=subprocess.PIPE)
    return out.stdout.decode().strip()


def _add(archive, name, entry):
    info = tarfile.TarInfo(name.lstrip("/"))
    info.mode = entry.mode
    info.uid = info.gid = entry.uid
    if entry.content is not None:
        info.size = len(entry.content)
        archive.addfile(info, io.BytesIO(entry.content))
        return
    info.type = tarfile.SYMTYPE if entry.link is not None else tarfile.DIRTYPE
    info.linkname = entry.link or ""
    archive.addfile(info)


def _with_parents(entries):
    """The entries and the directories above them that are not listed themselves."""
    complete = dict(entries)
    for path in entries:
        parent = os.path.dirname(path)
        while parent not in ("/", ""):
            complete.setdefault(parent, Entry())
            parent = os.path.dirname(parent)
    return complete


def _layer_tar(entries):
    out = io.BytesIO()
    complete = _with_parents(entries)
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(complete):
            _add(archive, path, complete[path])
    return out.getvalue()


def _sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class _Blobs:
    def __init__(self):
        self.by_digest = {}

    def add(self, data, media_type):
        digest = _sha256(data)
        self.by_digest[digest] = data
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def add_json(self, value, media_type):
        return self.add(json.dumps(value, sort_keys=True).encode(), media_type)


def write_archive(path, name, layers, config):
    """Write image NAME (REPOSITORY:TAG) to path; config is the OCI "config" object. Its digest."""
    blobs = _Blobs()
    tars = [_layer_tar(layer) for layer in layers]
    image = {
        "architecture": architecture(),
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [_sha256(tar) for tar in tars]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blobs.add_json(image, "application/vnd.oci.image.config.v1+json"),
        "layers": [
            blobs.add(gzip.compress(tar, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip")
            for tar in tars
        ],
    }
    top = blobs.add_json(manifest, manifest["mediaType"])
    top["annotations"] = {"org.opencontainers.image.ref.name": name}
    index = {"schemaVersion": 2, "manifests": [top]}
    files = {
        "/oci-layout": Entry(json.dumps({"imageLayoutVersion": "1.0.0"}).encode()),
        "/index.json": Entry(json.dumps(index, sort_keys=True).encode()),
    }
    for digest, data in blobs.by_digest.items():
        files["/blobs/" + digest.replace(":", "/")] = Entry(data)

    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path + ".new", "wb") as out:
        out.write(_layer_tar(files))
    os.rename(path + ".new", path)
    return top["digest"]
