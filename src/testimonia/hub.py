"""A release on the Hugging Face Hub: one commit that makes the repository what `dataset/` is, and a tag."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.hf_api import RepoFile

from testimonia.corpus import Corpus
from testimonia.errors import FindingsError, HubError, InputError, errors_among
from testimonia.release import PAPERS, check_label_config, read_manifest, strays, validate_dataset
from testimonia.server import distrust, is_loopback
from testimonia.tables import files_of

VARIABLE = "HF_TOKEN"
_KEPT = (".gitattributes",)  # the Hub's own
_TRANSPORTS = ("requests", "httpx", "httpx2")  # of huggingface_hub 0, 1 and 2, whose errors have no base in common


@dataclass(frozen=True, slots=True)
class Operation:
    """What is done to a file of the repository: it is added, changed, deleted, or the same already."""

    what: Literal["add", "change", "delete", "same"]
    path: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What `publish` does: to which repository, under which tag, file by file; `head` is the commit there now."""

    repository: str
    tag: str
    tagged: bool
    head: str
    operations: tuple[Operation, ...]

    @property
    def changes(self) -> tuple[Operation, ...]:
        """The operations that change something."""
        return tuple(one for one in self.operations if one.what != "same")


def publish(corpus: Corpus, repository: str, revision: str = "", dry_run: bool = False) -> Plan:
    """Makes a dataset repository of the Hub what `dataset/` is, in one commit, and tags it; returns what was done.

    The release is validated first; nothing outside `dataset/` is read for upload. The token is taken from the
    environment (HF_TOKEN) only. Run again after it was cut off, it does what is left. With `dry_run` nothing is sent.

    Raises InputError where the revision is not that of the version, the token is missing, or something in the folder
    is no plain file; FindingsError where the dataset has errors; HubError where the Hub refuses or does not answer, has
    no such repository, or has the tag at other contents.
    """
    tag = f"v{corpus.version}"
    if revision not in ("", tag):
        raise InputError(f"revision {revision}: the release in dataset/ is {tag}; leave it out, or check out that one")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository, re.ASCII):
        raise InputError(f"{repository!r}: is no dataset of the Hub; write OWNER/NAME")
    token = os.environ.get(VARIABLE, "")
    if token and not re.fullmatch(r"[!-~]+", token):
        raise InputError(f"{VARIABLE}: holds a space, a line end or a letter that no token has; set it again")
    if not token and not dry_run:
        raise InputError(f"{VARIABLE}: is not set; put a token with write access to {repository} in the environment")
    api = HfApi(token=token or False)
    _check_endpoint(api.endpoint)
    findings = validate_dataset(corpus.dataset, corpus) + check_label_config(corpus)
    if errors_among(findings):
        raise FindingsError(f"{corpus.dataset}: has errors; it is not published", findings)
    manifest = read_manifest(corpus.dataset)
    for path in strays(corpus.dataset, manifest):
        raise InputError(f"{path}: is no plain file of the release; take it out")
    names = [*PAPERS, *(file["file"] for entry in manifest["configs"].values() for file in files_of(entry))]
    files = {name: corpus.dataset / name for name in names if (corpus.dataset / name).is_file()}
    try:
        plan = _planned(api, repository, tag, files)
        if not dry_run:
            _carry_out(api, plan, files, f"{corpus.scheme.name} {corpus.version}")
    except RepositoryNotFoundError:
        raise HubError(f"{repository}: no such dataset, or the token may not see it; create it on the Hub") from None
    except HFValidationError as error:
        raise InputError(f"{repository}: {error}") from None
    except OfflineModeIsEnabled:
        raise HubError("HF_HUB_OFFLINE is set; take it out of the environment to publish") from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise HubError(f"{repository}: the Hub answers {status}: {error.server_message or error}") from None
    except Exception as error:
        if untrusted := distrust(error):
            raise HubError(f"{api.endpoint}: {untrusted}") from None
        if type(error).__module__.partition(".")[0] in _TRANSPORTS or isinstance(error, OSError):
            raise HubError(f"{api.endpoint}: does not answer: {error}; try again") from None
        if isinstance(error, KeyError | TypeError | ValueError):
            message = f"{api.endpoint}: answers what is not understood ({type(error).__name__}: {error}); is it a Hub?"
            raise HubError(message) from None
        raise
    return plan


def _check_endpoint(url: str) -> None:
    """Raises InputError where the token would travel in the clear, or where messages would tell a password."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise InputError("HF_ENDPOINT: holds a user or password; leave them out, the token is enough")
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise InputError(f"HF_ENDPOINT: over {url} everybody on the way could read the token; use https")


def _planned(api: HfApi, repository: str, tag: str, files: dict[str, Path]) -> Plan:
    refs = api.list_repo_refs(repository, repo_type="dataset")
    tags = {ref.name: ref.target_commit for ref in refs.tags}
    heads = {ref.name: ref.target_commit for ref in refs.branches}
    revision = tag if tag in tags else "main"
    there = {
        entry.path: entry
        for entry in api.list_repo_tree(repository, repo_type="dataset", recursive=True, revision=revision)
        if isinstance(entry, RepoFile) and entry.path not in _KEPT
    }
    operations = []
    for name in sorted({*there, *files}):
        if name not in files:
            operations.append(Operation("delete", name))
            continue
        size = files[name].stat().st_size
        what: Literal["add", "change", "same"] = "add"
        if name in there:
            what = "same" if _is(there[name], files[name]) else "change"
        operations.append(Operation(what, name, size))
    plan = Plan(repository, tag, tag in tags, heads.get("main", ""), tuple(operations))
    if plan.tagged and plan.changes:
        first = plan.changes[0]
        raise HubError(
            f"{repository}: has {tag} with another {first.path}; a release is not changed, raise the version"
        )
    return plan


def _is(entry: RepoFile, path: Path) -> bool:
    """Whether a file of the repository has these bytes: by SHA-256 under LFS, else by git's blob id."""
    data = path.read_bytes()
    if entry.lfs is not None:
        return entry.lfs.sha256 == hashlib.sha256(data).hexdigest()
    blob = b"blob %d\0" % len(data) + data
    return entry.blob_id == hashlib.sha1(blob, usedforsecurity=False).hexdigest()


def _carry_out(api: HfApi, plan: Plan, files: dict[str, Path], message: str) -> None:
    if plan.tagged:
        return
    revision = plan.head
    if plan.changes:
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
        operations = [
            CommitOperationDelete(one.path)
            if one.what == "delete"
            else CommitOperationAdd(one.path, str(files[one.path]))
            for one in plan.changes
        ]
        revision = api.create_commit(
            plan.repository,
            operations,
            commit_message=message,
            repo_type="dataset",
            revision="main",
            parent_commit=plan.head or None,
        ).oid
    api.create_tag(plan.repository, tag=plan.tag, tag_message=message, revision=revision, repo_type="dataset")


def plan_text(plan: Plan, dry_run: bool) -> str:
    """What was done, or would be, a line each."""
    if plan.tagged:
        return f"{plan.repository}: has {plan.tag} already, with the same files; nothing to do\n"
    lines = [f"  {one.what:6} {one.path}{f'  {one.size} bytes' if one.size else ''}" for one in plan.changes]
    same = len(plan.operations) - len(plan.changes)
    lines += [f"  same   {same} files"] if same else []
    told = "would be done in one commit" if dry_run else "done in one commit"
    commit = f"{told}:" if plan.changes else "nothing to commit"
    lines.append(f"  tag    {plan.tag}")
    load = f'load_dataset("{plan.repository}", revision="{plan.tag}")'
    return "\n".join([f"{plan.repository}: {commit}", *lines, *([] if dry_run else [load])]) + "\n"
