"""A server over real HTTP that speaks the endpoints of the Hugging Face Hub that publishing and loading use.

Repositories are kept as commits: each a mapping of paths to bytes. Parquet goes the way of LFS, as on the Hub.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

Json = dict[str, Any]
TOKEN = "hf_made_for_this_test"
REPOSITORY = "someone/articles"


@dataclass
class Repository:
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes]) -> str:
        oid = hashlib.sha1(repr((self.order, sorted(files.items()))).encode()).hexdigest()
        self.commits[oid] = files
        self.order.append(oid)
        return oid

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        oid = self.order[-1] if revision == "main" else self.tags.get(revision, revision)
        return (oid, self.commits[oid]) if oid in self.commits else None


def blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def entry(path: str, data: bytes) -> Json:
    lfs = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    found = {"type": "file", "path": path, "size": len(data), "oid": blob(data)}
    return found | ({"lfs": lfs} if path.endswith(".parquet") else {})


def listed(files: dict[str, bytes], below: str, recursive: bool) -> list[Json]:
    """The files and folders under a folder, all of them or those that lie in it."""
    own = {path: data for path, data in files.items() if path.startswith(below)}
    parents = {parent.as_posix() for path in own for parent in PurePosixPath(path).parents}
    folders = [f for f in sorted(parents) if f != "." and f.startswith(below)]
    found: list[Json] = [{"type": "directory", "path": f, "oid": "0" * 40, "size": 0} for f in folders]
    found += [entry(path, data) for path, data in sorted(own.items())]
    return [one for one in found if recursive or "/" not in one["path"][len(below) :]]


class Hub:
    """The server; `asked` lists method, path and status of every request, `fail` makes the next ones of a path fail."""

    def __init__(self) -> None:
        self.repository = Repository()
        self.repository.commit({".gitattributes": b"*.parquet filter=lfs\n"})
        self.asked: list[tuple[str, str, int]] = []
        self.tokens: set[str] = set()
        self.fail: Callable[[str, str], int | None] = lambda _method, _path: None
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = self.chunks()
                path = unquote(urlsplit(self.path).path)
                hub.tokens.add(self.headers.get("Authorization", ""))
                status = hub.fail(self.command, path)
                headers: dict[str, str] = {}
                if status is None:
                    token, query = self.headers.get("Authorization", ""), urlsplit(self.path).query
                    status, found, headers = hub.answer(self.command, path, query, body, token)
                else:
                    found = {"error": "made to fail"}
                hub.asked.append((self.command, path, status))
                data = found if isinstance(found, bytes) else json.dumps(found).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            def chunks(self) -> bytes:
                body = b""
                while size := int(self.rfile.readline().strip(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

        for method in ("GET", "POST", "PUT", "HEAD"):
            setattr(Handler, f"do_{method}", Handler.handle_any)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, method: str, path: str, query: str, body: bytes, token: str) -> tuple[int, Any, dict[str, str]]:
        own = self.repository
        open_to_all = method in ("GET", "HEAD") or "/objects/" in path or "/paths-info/" in path
        if token != f"Bearer {TOKEN}" and not open_to_all:
            return 401, {"error": "Invalid credentials"}, {}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}, {}
        base = f"/api/datasets/{REPOSITORY}"
        if path.startswith("/objects/"):
            own.objects[path.rpartition("/")[2]] = body
            return 200, {}, {}
        if path == f"/datasets/{REPOSITORY}.git/info/lfs/objects/batch":
            objects = [
                {"oid": one["oid"], "size": one["size"]}
                | {"actions": {"upload": {"href": f"{self.url}/objects/{one['oid']}", "header": {}}}}
                for one in json.loads(body)["objects"]
            ]
            return 200, {"transfer": "basic", "objects": objects}, {}
        if resolved := re.fullmatch(rf"/datasets/{REPOSITORY}/resolve/([^/]+)/(.+)", path):
            return self.resolved(*resolved.groups())
        if path != base and not path.startswith(f"{base}/"):
            return 404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"}
        return self.of_repository(path[len(base) + 1 :].split("/", 2), query, body)

    def of_repository(self, parts: list[str], query: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        own = self.repository
        what, revision = parts[0], parts[1] if len(parts) > 1 else "main"
        if what == "refs":
            branches = [{"name": "main", "ref": "refs/heads/main", "targetCommit": own.order[-1]}]
            tags = [{"name": n, "ref": f"refs/tags/{n}", "targetCommit": oid} for n, oid in own.tags.items()]
            return 200, {"branches": branches, "tags": tags, "converts": []}, {}
        found = own.at(revision)
        if found is None:
            return 404, {"error": "Invalid rev"}, {"X-Error-Code": "RevisionNotFound"}
        oid, files = found
        if what in ("", "revision"):
            siblings = [{"rfilename": path} for path in files]
            return 200, {"id": REPOSITORY, "sha": oid, "private": False, "siblings": siblings, "tags": []}, {}
        if what == "tree":
            return 200, listed(files, f"{parts[2]}/" if len(parts) > 2 else "", "recursive=true" in query.lower()), {}
        if what == "paths-info":
            wanted = dict(pair.split("=", 1) for pair in unquote(body.decode()).split("&") if "=" in pair)
            asked = [wanted["paths"]] if "paths" in wanted else json.loads(body)["paths"]
            return 200, [entry(path, files[path]) for path in asked if path in files], {}
        if what == "preupload":
            modes = [
                {"path": one["path"], "shouldIgnore": False}
                | {"uploadMode": "lfs" if one["path"].endswith(".parquet") else "regular"}
                for one in json.loads(body)["files"]
            ]
            return 200, {"files": modes}, {}
        if what == "commit":
            return self.committed(body, dict(files))
        if what == "tag":
            name = json.loads(body)["tag"]
            if name in own.tags:
                return 409, {"error": "Tag exists"}, {}
            own.tags[name] = oid
            return 200, {}, {}
        return 404, {"error": f"unknown {what}"}, {}

    def committed(self, body: bytes, files: dict[str, bytes]) -> tuple[int, Any, dict[str, str]]:
        own = self.repository
        for line in body.decode().splitlines():
            one = json.loads(line)
            value = one["value"]
            if one["key"] == "header" and value.get("parentCommit") not in (None, own.order[-1]):
                return 412, {"error": "A commit has happened since"}, {}
            if one["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif one["key"] == "lfsFile":
                files[value["path"]] = own.objects[value["oid"]]
            elif one["key"] == "deletedFile":
                del files[value["path"]]
        oid = own.commit(files)
        return (
            200,
            {"success": True, "commitOid": oid, "commitUrl": f"{self.url}/datasets/{REPOSITORY}/commit/{oid}"},
            {},
        )

    def resolved(self, revision: str, path: str) -> tuple[int, Any, dict[str, str]]:
        found = self.repository.at(revision)
        if found is None or path not in found[1]:
            return 404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"}
        data = found[1][path]
        return 200, data, {"ETag": f'"{blob(data)}"', "X-Repo-Commit": found[0], "Accept-Ranges": "none"}
