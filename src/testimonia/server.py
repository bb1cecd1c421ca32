"""The embedded Label Studio: the package `label-studio` on sqlite, on loopback, with secrets of its own.

Everything lies in the user's data folder (`home()`), mode 700: `secrets.json` (600: log-in, token, Django's key),
`server.json` (600: where it runs), `database.json` (600: which database it has), `studio.log`, and Label Studio's own
data under `studio/`.
"""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import json
import os
import re
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from testimonia.errors import InputError, StudioError
from testimonia.files import locked, read_json, write_json

OWNER = "owner@example.net"
START_SECONDS = 300
SQLITE = "sqlite"
PSEUDONYMS = "pseudonyms.json"  # who is who, beside the secrets
RESTORING = Path(".restoring/ready.json")  # there while a restored backup takes the place of what was there
_STOP_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Address:
    """Where a Label Studio answers, and the token that opens it (kept out of `repr`)."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"Address({self.url})"


@dataclass(frozen=True, slots=True)
class Server:
    """A running embedded server."""

    address: Address
    process: subprocess.Popen[bytes]
    log: Path

    def wait(self) -> None:
        """Blocks while the server runs. Raises StudioError when it ends by itself."""
        raise StudioError(f"Label Studio stopped with status {self.process.wait()}; see {self.log}")


def home() -> Path:
    """The folder of this user's server and secrets: $TESTIMONIA_HOME, else under $XDG_DATA_HOME."""
    if os.environ.get("TESTIMONIA_HOME"):
        return Path(os.environ["TESTIMONIA_HOME"]).absolute()
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "testimonia"


def address(folder: Path) -> Address:
    """The server named by $LABEL_STUDIO_URL and $LABEL_STUDIO_API_KEY, else the one that runs from this folder.

    Raises StudioError where none does, where one of the variables is missing, or where the token would travel in
    the clear to another machine (unless $LABEL_STUDIO_ALLOW_HTTP is 1).
    """
    url, key = os.environ.get("LABEL_STUDIO_URL", "").rstrip("/"), os.environ.get("LABEL_STUDIO_API_KEY", "").strip()
    if url or key:
        return _remote(url, key)
    path = folder / "server.json"
    if path.is_file():
        running = read_json(path)
        if isinstance(running, dict) and _healthy(str(running.get("url"))):
            return Address(running["url"], read_secrets(folder)["token"])
    raise StudioError("no Label Studio is running; start one with `testimonia serve` in another terminal")


def _remote(url: str, key: str) -> Address:
    if not url or not key:
        missing = "LABEL_STUDIO_API_KEY" if url else "LABEL_STUDIO_URL"
        raise StudioError(f"{missing} is not set; both are needed for a Label Studio of your own")
    if not re.fullmatch(r"[!-~]+", key):
        raise StudioError("LABEL_STUDIO_API_KEY holds a space, a line end or a letter that no key has; set it again")
    if "@" in url or "?" in url:
        raise StudioError("LABEL_STUDIO_URL holds a user, a password or a query; leave them out, the key is enough")
    try:
        parts = urllib.parse.urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not parts.fragment
    except ValueError:
        sound = False
    if not sound or not re.fullmatch(r"[!-~]+", url):
        raise StudioError(f"LABEL_STUDIO_URL = {url!r} is no address; write one such as https://studio.example.org")
    local = is_loopback(parts.hostname or "")
    if parts.scheme == "http" and not local and os.environ.get("LABEL_STUDIO_ALLOW_HTTP") != "1":
        raise StudioError(
            f"{url}: over plain HTTP everybody on the way could read the key; use https, or set "
            "LABEL_STUDIO_ALLOW_HTTP=1 if the network is yours"
        )
    return Address(url, key)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its address, or by the name `localhost`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def distrust(error: BaseException | None) -> str:
    """What is wrong with a server's certificate and what to do, where that is among the causes of an error."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not trusted ({error.verify_message}), nothing was sent; if the server is yours, "
                "set SSL_CERT_FILE to the file (PEM) of the authority that signed it"
            )
        error = error.__cause__ or error.__context__
    return ""


def read_secrets(folder: Path) -> Mapping[str, str]:
    """The secrets of the embedded server, generated once and kept with mode 600."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    path = folder / "secrets.json"
    if not path.is_file():
        values = {
            "email": OWNER,
            "password": secrets.token_urlsafe(16),
            "token": secrets.token_hex(20),
            "secret_key": secrets.token_urlsafe(40),
        }
        write_json(path, values, mode=0o600)
    result: Mapping[str, str] = read_json(path)
    return result


@contextlib.contextmanager
def running(folder: Path, port: int = 0, database: str = "") -> Iterator[Server]:
    """Starts the server, yields once it answers, and stops it. Port 0: a free one.

    `database`: `postgresql://user@host:port/name`, else sqlite in the folder. Without a password in it, PostgreSQL's
    own ways to find one hold (PGPASSWORD, ~/.pgpass). Raises StudioError where the package is missing, the folder is
    in use, the database is none, or the server does not come up in time.
    """
    store = _store(database)
    command = shutil.which("label-studio", path=os.pathsep.join([str(Path(sys.executable).parent), os.defpath]))
    if command is None:
        raise StudioError("the package label-studio is not installed; pip install 'testimonia[studio]'")
    with alone(folder):
        if (folder / RESTORING).is_file():
            raise StudioError(f"{folder}: a restore was cut off; run the same `testimonia restore` again")
        values = read_secrets(folder)
        port = port or _free_port()
        url = f"http://127.0.0.1:{port}"
        log = os.open(folder / "studio.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        process = subprocess.Popen(
            [command, "start", "--no-browser", "--port", str(port), "--internal-host", "127.0.0.1"],
            env=_environment(folder, values) | store,
            cwd=folder,  # Label Studio tells everybody the last commit of the folder it runs in
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        os.close(log)
        try:
            _wait(process, url, folder)
            write_json(folder / "database.json", {"database": _without_password(store)}, mode=0o600)
            write_json(folder / "server.json", {"url": url, "pid": process.pid}, mode=0o600)
            yield Server(Address(url, values["token"]), process, folder / "studio.log")
        finally:
            (folder / "server.json").unlink(missing_ok=True)
            _stop(process)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds the folder. Raises StudioError where another server does, with its address."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(folder / "server.json"))
        except InputError:
            known = (read_json(folder / "server.json") if (folder / "server.json").is_file() else {}).get("url")
            where = f"at {known}" if known else "starting up"
            message = (
                f"Label Studio already runs on {folder}, {where}: use that one, or stop it with Ctrl+C where it runs"
            )
            raise StudioError(message) from None
        yield


def _environment(folder: Path, values: Mapping[str, str]) -> dict[str, str]:
    """Nothing that would change what is set here, and no secrets that the server has no use for.

    Without LABEL_STUDIO_HOST: pages then name no host, so that they work behind a tunnel or a proxy too.
    """
    prefixes = ("LABEL_STUDIO_", "HEARTEX_", "POSTGRE_", "DJANGO_", "SENTRY_", "FRONTEND_SENTRY", "HF_", "TESTIMONIA_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    return inherited | {
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder / "studio"),
        "LABEL_STUDIO_USERNAME": values["email"],
        "LABEL_STUDIO_PASSWORD": values["password"],
        "LABEL_STUDIO_USER_TOKEN": values["token"],
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "SECRET_KEY": values["secret_key"],
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "DEBUG": "false",
    }


def _store(database: str) -> dict[str, str]:
    """The variables that tell Label Studio its database."""
    if not database:
        return {"DJANGO_DB": SQLITE}
    parts = urllib.parse.urlsplit(database)
    try:
        port = parts.port or 5432
    except ValueError:
        port = 0
    name = parts.path.removeprefix("/")
    if parts.scheme not in ("postgresql", "postgres") or not parts.hostname or not name or "/" in name or not port:
        raise StudioError("the database is not written as postgresql://user@host:port/name")
    return {
        "DJANGO_DB": "default",
        "POSTGRE_USER": urllib.parse.unquote(parts.username or os.environ.get("PGUSER") or "postgres"),
        "POSTGRE_PASSWORD": urllib.parse.unquote(parts.password or ""),
        "POSTGRE_NAME": urllib.parse.unquote(name),
        "POSTGRE_HOST": parts.hostname,
        "POSTGRE_PORT": str(port),
    }


def _without_password(store: Mapping[str, str]) -> str:
    """The database as `serve --database` takes it; what it needs to be opened stays out."""
    if store["DJANGO_DB"] == SQLITE:
        return SQLITE
    user, name = (urllib.parse.quote(store[f"POSTGRE_{key}"], safe="") for key in ("USER", "NAME"))
    host = store["POSTGRE_HOST"]
    return f"postgresql://{user}@{f'[{host}]' if ':' in host else host}:{store['POSTGRE_PORT']}/{name}"


def database_of(folder: Path) -> str:
    """The database of the server that ran last on a folder: SQLITE, or a PostgreSQL's URL without its password."""
    path = folder / "database.json"
    known = read_json(path) if path.is_file() else {}
    return str(known.get("database", SQLITE)) if isinstance(known, dict) else SQLITE


def _wait(process: subprocess.Popen[bytes], url: str, folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            log = folder / "studio.log"
            lines = [line for line in log.read_text(errors="replace").splitlines() if "OperationalError" in line]
            why = f": {lines[-1].strip()}" if lines else ""
            raise StudioError(f"Label Studio did not start{why}; see {log}")
        if _healthy(url):
            return
        time.sleep(0.3)
    raise StudioError(f"Label Studio did not answer within {START_SECONDS} s; see {folder / 'studio.log'}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired, ChildProcessError):
            process.wait(_STOP_SECONDS)
            return


def _die_with_parent() -> None:
    """In the child on Linux: SIGTERM when the parent dies, however it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _healthy(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/health", timeout=5) as answer:
            return bool(json.load(answer).get("status") == "UP")
    except (OSError, urllib.error.URLError, ValueError):
        return False
