"""Archives as packages keep them, made here, and clients that fetch them from a folder of this machine."""

import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest
import yaml

from reproductions.common.corpus import Source

CLIENT = """#!/bin/sh
for asked; do :; done  # the last word
name="${asked%[@=]*}"
echo "$0 $*" >> "$FETCHED"
cp "$ARCHIVES/$name.archive" fetched || { echo "E: no package $name" >&2; exit 1; }
"""


def clients(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """An npm and an apt-get that know the archives of a folder and nobody else; what they were asked goes to a file."""
    place = folder / "clients"
    place.mkdir()
    for name in ("npm", "apt-get"):
        (place / name).write_text(CLIENT, encoding="utf8")
        (place / name).chmod(0o755)
    fetched = folder / "fetched.txt"
    patch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
    patch.setenv("ARCHIVES", str(folder))
    patch.setenv("FETCHED", str(fetched))
    return fetched


def tgz(members: dict[str, bytes]) -> bytes:
    """A compressed tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def deb(members: dict[str, bytes]) -> bytes:
    """A Debian package: an ar archive; its second member is of odd length and padded, its third the tar file."""
    parts = {"debian-binary": b"2.0\n", "control.tar.gz": b"odd", "data.tar.gz": tgz(members)}
    return b"!<arch>\n" + b"".join(_ar_member(name, content) for name, content in parts.items())


def _ar_member(name: str, content: bytes) -> bytes:
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
    return header + content + b"\n" * (len(content) % 2)


def dictd(entries: list[tuple[str, str]]) -> bytes:
    """A dictionary: headwords at the line's start, texts indented."""
    return gzip.compress("".join(f"{head}\n   {text}\n" for head, text in entries).encode())


def speeches(n: int, words: int = 40, power: int = 2) -> dict[str, bytes]:
    """n documents, no two alike."""
    texts = [" ".join(f"w{(number * 7 + word**power) % 50}" for word in range(words + number)) for number in range(n)]
    return {f"package/data/{i}.json": json.dumps({"text": text}).encode() for i, text in enumerate(texts)}


def source(folder: Path, archive: bytes, **changed: object) -> Source:
    """A source of the corpus that lies in a folder here."""
    name = str(changed.get("name", "speeches"))
    (folder / f"{name}.archive").write_bytes(archive)
    entry = {
        "name": name,
        "title": f"The {name}",
        "licence": "Public domain",
        "client": "npm",
        "package": name,
        "version": "1.0",
        "sha256": hashlib.sha256(archive).hexdigest(),
        "files": "*.json",
        "reader": "json_text",
        "most_chars": 10**9,
        "ship": True,
    }
    return Source(**(entry | changed))  # type: ignore[arg-type]


def sources_yml(folder: Path, *sources: Source) -> Path:
    """A corpus.yml that names the sources."""
    path = folder / "corpus.yml"
    path.write_text(yaml.safe_dump({"sources": [vars(found) for found in sources]}), encoding="utf8")
    return path
