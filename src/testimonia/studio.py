"""Label Studio over its SDK: projects, tasks, accounts, annotations. The only importer of label-studio-sdk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import secrets
import urllib.parse
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from label_studio_sdk import LabelStudio
from label_studio_sdk.core.api_error import ApiError

from testimonia.errors import StudioError
from testimonia.files import locked, read_json, write_json
from testimonia.server import Address, distrust, is_loopback

Json = dict[str, Any]
Progress = Callable[[int, int], None]

BATCH = 200
OLDEST = (1, 23)  # what the tests run against; no older one was tried
PSEUDONYM_DOMAIN = "example.org"
_NO_RETRY: Any = {"max_retries": 0, "timeout_in_seconds": 600}
PSEUDONYM = re.compile(r"[a-z0-9][a-z0-9-]*")
# Keys of an exported task under which Label Studio names a user, by id or by e-mail address, and those under which
# it tells more of a user, or what changes from hour to hour.
_USER_KEYS = {"completed_by", "updated_by", "last_created_by", "user", "user_id", "created_by", "comment_authors"}
_LEFT_OUT = {"created_username", "created_ago", "username", "first_name", "last_name", "initials", "avatar", "phone"}
_EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_SECRET = re.compile(
    r"""(?<=Token )[^\s"',\\]+|(?<=Bearer )[^\s"',\\]+|(?<=token=)[^\s"'&\\]+|eyJ[\w-]+\.[\w-]+\.[\w-]+"""
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What `load` found and did: documents, annotations added, and the doc_ids whose predictions were replaced."""

    new: int = 0
    present: int = 0
    annotations: int = 0
    drafts_left_out: int = 0
    renewed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _There:
    """A task in Label Studio."""

    id: int
    predictions_sha256: str | None


class Studio:
    """A connection to a Label Studio server; a context manager that closes it."""

    def __init__(self, address: Address) -> None:
        """Raises StudioError where the key is a personal access token that has run out."""
        self.address = address
        self._http = _connection(address.url)
        with self._told("use the key"):
            self.client = LabelStudio(base_url=address.url, api_key=address.token, httpx_client=self._http)

    def __enter__(self) -> Studio:
        return self

    def __exit__(self, *exception: object) -> None:
        self._http.close()

    def _told(self, what: str) -> contextlib.AbstractContextManager[None]:
        return _told(what, self.address.token)

    def check(self, rights: Sequence[str] = ()) -> None:
        """Raises StudioError where the server is older than OLDEST, or the account lacks one of these rights."""
        with self._told("ask for the version and the account"):
            release = str(self.client.versions.get().release or "")
            whoami: Any = self.client.users.whoami()
        numbers = tuple(int(part) for part in re.findall(r"\d+", release)[:2])
        if not numbers or numbers < OLDEST:
            wanted = ".".join(map(str, OLDEST))
            raise StudioError(
                f"{self.address.url}: is Label Studio {release or 'of no known version'}; {wanted} is needed"
            )
        known = getattr(whoami, "permissions", None)
        missing = [right for right in rights if known is not None and right not in known]
        if missing:
            message = f"the account {whoami.email} may not {', '.join(missing)}; ask an administrator"
            raise StudioError(f"{self.address.url}: {message}, or use the key of another account")

    def project(self, title: str) -> int | None:
        """The id of the only project with this title. Raises StudioError where there are two."""
        with self._told("look for the project"):
            projects: list[Any] = list(self.client.projects.list(title=title))
            found = [int(p.id) for p in projects if p.title == title]
        if len(found) > 1:
            raise StudioError(f"{self.address.url}: {len(found)} projects are called {title!r}; rename all but one")
        return found[0] if found else None

    def ensure_project(self, title: str, label_config: str, instruction: str, start_from: str = "") -> int:
        """The project with this title, made or brought to this label config and instruction.

        `start_from`: the model version of the predictions that new annotations start from, for a project in which
        one annotator is enough.
        """
        project = self.project(title)
        settings: Json = {
            "label_config": label_config,
            "expert_instruction": instruction,
            "show_instruction": True,
            "show_skip_button": True,
            "enable_empty_annotation": True,
            "maximum_annotations": 1 if start_from else 2,
        }
        if project is None:
            if start_from:
                settings |= {"show_collab_predictions": True, "model_version": start_from}
            with self._told("create the project"):
                return int(self.client.projects.create(title=title, request_options=_NO_RETRY, **settings).id or 0)
        with self._told("update the label config (Label Studio refuses one that its annotations do not fit)"):
            self.client.projects.update(project, **settings)
        return project

    def ensure_views(self, project: int, views: Mapping[str, Sequence[Json]], hidden: Sequence[str]) -> None:
        """Saved views of a project's tasks by title, each with its filters; those that are there stay as they are."""
        with self._told("save the views"):
            there = {str((view.data or {}).get("title")) for view in self.client.views.list(project=project)}
            for title, filters in views.items():
                if title not in there:
                    data: Any = {
                        "title": title,
                        "type": "list",
                        "target": "tasks",
                        "filters": {"conjunction": "and", "items": list(filters)},
                        "hiddenColumns": {"explore": list(hidden), "labeling": list(hidden)},
                    }
                    self.client.views.create(project=project, data=data, request_options=_NO_RETRY)

    def start_from(self, project: int, model: str) -> None:
        """Has new annotations of a project start from the predictions of this model, which must be there."""
        with self._told("choose the predictions that annotators start from"):
            self.client.projects.update(project, model_version=model, show_collab_predictions=True)

    def load(
        self,
        project: int,
        tasks: Sequence[Json],
        annotations: Mapping[str, Sequence[Json]],
        users: Mapping[str, int],
        progress: Progress,
    ) -> Loaded:
        """Imports the tasks that are not there, with their annotations; adds annotations that are missing.

        `tasks` have `data` and may have `predictions`; `annotations` are entries of exported tasks by doc_id, their
        `completed_by` a key of `users`. A task is there if its doc_id is, with the same text; an annotation if its
        annotator has one. Another text under the id raises StudioError before anything is written. A task whose
        predictions are others by now (`data.predictions_sha256`) gets the new ones and the new data; its annotations
        stay. Run again after an interruption, the result is the same.
        """
        present = self._present(project, tasks)
        by_id = {str(task["data"]["doc_id"]): task for task in tasks}
        new = [task for doc_id, task in by_id.items() if doc_id not in present]
        added = 0
        for first in range(0, len(new), BATCH):
            progress(first, len(new))
            batch: list[Any] = []
            for task in new[first : first + BATCH]:
                entries = [_entry(entry, users) for entry in annotations.get(task["data"]["doc_id"], ())]
                batch.append(task | {"annotations": entries})
                added += len(entries)
            with self._told("import tasks"):
                self.client.projects.import_tasks(project, request=batch, request_options=_NO_RETRY)
        progress(len(new), len(new))
        renewed = []
        for doc_id, there in present.items():
            added += self._complete(there.id, [_entry(entry, users) for entry in annotations.get(doc_id, ())])
            wanted = by_id[doc_id]["data"].get("predictions_sha256")
            if wanted is not None and there.predictions_sha256 != wanted:
                self._renew(there.id, by_id[doc_id])
                renewed.append(doc_id)
        return Loaded(len(new), len(present), added, renewed=tuple(renewed))

    def _present(self, project: int, tasks: Sequence[Json]) -> dict[str, _There]:
        """What is in the project already, by doc_id. Raises StudioError where a text differs."""
        wanted = {str(task["data"]["doc_id"]): task["data"]["text_sha256"] for task in tasks}
        present: dict[str, _There] = {}
        for task in self._tasks(project):
            data = task.data if isinstance(task.data, dict) else {}
            doc_id = str(data.get("doc_id"))
            if doc_id in present:
                raise StudioError(
                    f"{doc_id}: tasks {present[doc_id].id} and {task.id} both hold it; "
                    "delete the one without annotations"
                )
            if doc_id in wanted:
                digest = hashlib.sha256(str(data.get("text")).encode("utf-8", "surrogatepass")).hexdigest()
                if digest != wanted[doc_id]:
                    raise StudioError(
                        f"{doc_id}: task {task.id} holds another text; give the changed article a new id, "
                        "the annotated text is not overwritten"
                    )
                present[doc_id] = _There(int(task.id), data.get("predictions_sha256"))
        return present

    def _renew(self, task: int, wanted: Json) -> None:
        """Replaces the predictions of a task, then its data; cut off in between, the next run does it again."""
        with self._told("replace the predictions of a task"):
            old = [int(prediction.id or 0) for prediction in self.client.predictions.list(task=task)]
            for prediction in wanted["predictions"]:
                self.client.predictions.create(task=task, request_options=_NO_RETRY, **prediction)
            for prediction_id in old:
                self.client.predictions.delete(prediction_id)
            self.client.tasks.update(str(task), data=wanted["data"])

    def _tasks(self, project: int) -> Iterator[Any]:
        with self._told("list the tasks"):
            yield from self.client.tasks.list(project=project, include="id,data", page_size=500)

    def _complete(self, task: int, entries: Sequence[Json]) -> int:
        if not entries:
            return 0
        with self._told("read the annotations of a task"):
            there = {a.completed_by for a in self.client.annotations.list(task)}
        added = 0
        for entry in entries:
            if entry["completed_by"] not in there:
                with self._told("create an annotation"):
                    self.client.annotations.create(task, request_options=_NO_RETRY, **entry)
                added += 1
        return added

    def put(self, task: int, entry: Json, user: int, instead_of: int | None = None) -> None:
        """Puts an exported annotation under a user's name into a task, or in the place of one that is there."""
        values = _entry(entry, {entry["completed_by"]: user})
        with self._told("put an annotation back"):
            if instead_of is None:
                self.client.annotations.create(task, request_options=_NO_RETRY, **values)
            else:
                part = {name: values[name] for name in ("result", "was_cancelled", "lead_time", "import_id")}
                self.client.annotations.update(instead_of, **part)

    def export(self, project: int, progress: Progress, only: Collection[str] | None = None) -> Iterator[Json]:
        """Every task of a project, or those of some doc_ids, as Label Studio's JSON export gives it.

        Drafts and skipped ones are included.
        """
        tasks = list(self._tasks(project))
        if only is not None:
            tasks = [task for task in tasks if isinstance(task.data, dict) and task.data.get("doc_id") in only]
        ids = sorted(int(task.id) for task in tasks)
        for first in range(0, len(ids), BATCH):
            progress(first, len(ids))
            with self._told("export tasks"):
                chunks = self.client.projects.exports.download_sync(
                    project,
                    export_type="JSON",
                    download_all_tasks=True,
                    request_options={
                        "timeout_in_seconds": 600,
                        # The server knows the ids by this name only; under that of the SDK it gives all tasks.
                        "additional_query_parameters": {"ids[]": ids[first : first + BATCH]},
                    },
                )
                body = b"".join(chunks)
            try:
                exported = json.loads(body)
            except ValueError:
                raise StudioError(
                    f"Label Studio: the export is not JSON: {body[:80]!r}; see the server's log"
                ) from None
            yield from exported
        progress(len(ids), len(ids))

    def label_config(self, project: int) -> str:
        with self._told("read the label config"):
            return str(self.client.projects.get(project).label_config)

    def users(self) -> dict[int, str]:
        """E-mail address by user id."""
        with self._told("list the users"):
            return {
                int(user.id or 0): str(user.email or f"user-{user.id}").lower() for user in self.client.users.list()
            }

    def account(self) -> str:
        """E-mail address of the account whose key this is."""
        with self._told("ask for the account"):
            return str(self.client.users.whoami().email).lower()

    def ensure_users(self, names: Sequence[str], pseudonyms: Pseudonyms | None = None) -> dict[str, int]:
        """User id by pseudonym: of the account that has it, else of `<pseudonym>@example.org`, made where none is."""
        users = {email: user for user, email in self.users().items()}
        found = {
            name: users[email] for email, name in (pseudonyms.known if pseudonyms else {}).items() if email in users
        }
        wanted = {f"{name}@{PSEUDONYM_DOMAIN}": name for name in names if name not in found}
        for email in sorted(set(wanted) - set(users)):
            self.sign_up(email)
        made = {wanted[email]: user for user, email in self.users().items() if email in wanted} if wanted else {}
        return {name: found[name] for name in names if name in found} | made

    def add_annotator(self, email: str) -> str:
        """Signs a new account up; returns its password. Raises StudioError where it is there, or no address."""
        if not _EMAIL.fullmatch(email):
            raise StudioError(f"{email!r} is no e-mail address; write one such as name@example.org")
        if email.lower() in self.users().values():
            raise StudioError(f"{self.address.url}: {email} has an account already; give another address")
        return self.sign_up(email)

    def sign_up(self, email: str, password: str = "") -> str:
        """Signs an account up by the organisation's invitation; returns its password (generated if not given)."""
        email, password = email.lower(), password or secrets.token_urlsafe(16)
        with (
            self._told("sign up an annotator"),
            _connection(self.address.url) as http,
        ):
            invite = self.client.organizations.invites.get_invite_link()
            invitation = {"token": str(invite.token)}
            form = http.get("/user/signup/", params=invitation)
            form.raise_for_status()
            values = {"email": email, "password": password, "csrfmiddlewaretoken": http.cookies.get("csrftoken", "")}
            with contextlib.suppress(httpx.TransportError):  # whether the account is there counts, not the answer
                http.post("/user/signup/", params=invitation, data=values, headers={"Referer": str(form.url)})
        if email not in self.users().values():
            raise StudioError(f"{self.address.url}: Label Studio did not accept the account {email}; see its log")
        return password


def _entry(entry: Json, users: Mapping[str, int]) -> Json:
    """An exported annotation as it is imported.

    `ground_truth` is always said: Label Studio's default is true. `import_id` tells what was loaded from what was
    posted in another's name.
    """
    return {
        "result": entry["result"],
        "completed_by": users[entry["completed_by"]],
        "was_cancelled": bool(entry.get("was_cancelled")),
        "ground_truth": False,
        "lead_time": entry.get("lead_time"),
        "import_id": entry.get("id") or 0,
    }


def _connection(url: str) -> httpx.Client:
    """A client of one server: it follows no redirect elsewhere, where the key would go along.

    Certificates are verified, against $SSL_CERT_FILE too; what is on this machine is not asked through a proxy.
    """
    home = _origin(httpx.URL(url))

    def check(request: httpx.Request) -> None:
        if (elsewhere := _origin(request.url)) != home:
            raise StudioError(
                f"{url}: redirects to {elsewhere}, where the key is not sent; if that is the server you mean, "
                "set LABEL_STUDIO_URL to it"
            )

    parts = urllib.parse.urlsplit(url)
    direct = {f"all://{parts.netloc}": None} if is_loopback(parts.hostname or "") else {}
    return httpx.Client(
        base_url=url, timeout=120, follow_redirects=True, event_hooks={"request": [check]}, mounts=direct
    )


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode()}"


@contextlib.contextmanager
def _told(what: str, key: str) -> Iterator[None]:
    """Turns what the SDK and the network raise into a StudioError that says what was tried, without the key."""
    try:
        yield
    except ApiError as error:
        body = (
            json.dumps(error.body, ensure_ascii=False, default=str) if not isinstance(error.body, str) else error.body
        )
        hint = "is the token right?" if error.status_code in (401, 403) else "see the server's log"
        said = _without_secrets(body, key)[:300]
        raise StudioError(f"Label Studio: cannot {what}: HTTP {error.status_code}: {said}; {hint}") from None
    except httpx.HTTPError as error:
        if untrusted := distrust(error):
            raise StudioError(f"Label Studio: cannot {what}: {untrusted}") from None
        message = _without_secrets(f"{type(error).__name__} {error}".strip(), key)
        raise StudioError(f"Label Studio: cannot {what}: {message}; is the server up? then run this again") from None
    except ValueError as error:  # an answer that the SDK cannot read
        message = _without_secrets(f"{type(error).__name__} {error}", key)[:300]
        raise StudioError(
            f"Label Studio: cannot {what}: its answer is not understood: {message}; is it a Label Studio?"
        ) from None


def _without_secrets(text: str, key: str) -> str:
    """Text without the key, and without other keys, session tokens and invitations that a server may repeat."""
    return _SECRET.sub("…", text.replace(key, "…") if key else text)


def quiet(done: int, total: int) -> None:
    """Progress that nobody is told of."""


class Pseudonyms:
    """Who is who: e-mail address to pseudonym, in a file of mode 600 with the secrets, never in git.

    `<name>@example.org` is `<name>`: such accounts are made from pseudonyms. Anybody else gets a random one, once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, str] = read_json(path) if path.is_file() else {}

    @property
    def known(self) -> Mapping[str, str]:
        """Pseudonym by e-mail address, of those that were given one."""
        return self._known

    def of(self, email: str) -> str:
        email = email.lower()
        name, _, domain = email.rpartition("@")
        if not domain or (domain == PSEUDONYM_DOMAIN and PSEUDONYM.fullmatch(name)):
            return name or email
        if email not in self._known:
            with locked(self._path):
                self._known = (read_json(self._path) if self._path.is_file() else {}) | self._known
                self._known.setdefault(email, f"annotator-{secrets.token_hex(3)}")
                write_json(self._path, self._known, mode=0o600)
        return self._known[email]


def without_addresses(text: str, pseudonyms: Pseudonyms) -> str:
    """Text with a pseudonym for every e-mail address."""
    return _EMAIL.sub(lambda match: pseudonyms.of(match.group()), text)


def pseudonymised(task: Json, users: Mapping[int, str], pseudonyms: Pseudonyms) -> Json:
    """An exported task with every user named by pseudonym; the article's `data` and all results are untouched."""
    known = "|".join(re.escape(email) for email in sorted(users.values(), key=len, reverse=True))
    either = rf"(?<![\w.+%-])(?:{known})(?![\w-]|\.\w)|{_EMAIL.pattern}"
    address = re.compile(either if known else _EMAIL.pattern, re.IGNORECASE)

    def renamed(text: str) -> str:
        return address.sub(lambda match: pseudonyms.of(match.group()), text) if "@" in text else text

    def replace(value: Any, key: str) -> Any:
        if key in ("data", "result"):
            return value
        if isinstance(value, dict):
            if key in _USER_KEYS:
                return replace(value.get("id", value.get("user_id", value.get("email"))), key)
            return {renamed(name): replace(inner, name) for name, inner in value.items() if name not in _LEFT_OUT}
        if isinstance(value, list):
            return [replace(inner, key) for inner in value]
        if key in _USER_KEYS and isinstance(value, int) and not isinstance(value, bool):
            return pseudonyms.of(users[value]) if value in users else f"user-{value}"
        if isinstance(value, str):
            return pseudonyms.of(value) if key in _USER_KEYS and "@" in value else renamed(value)
        return value

    return {key: replace(value, key) for key, value in task.items()}
