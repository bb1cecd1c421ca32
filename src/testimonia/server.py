"""The embedded Label Studio: the package `label-studio` on sqlite, on loopback, with secrets of its own.

Everything lies in the user's data folder (`home()`), mode 700: `secrets.json` (600: log-in, token, Django's key),
`server.json` (600: where it runs), `studio.log`, and Label Studio's own data under `studio/`.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from testimonia.errors import StudioError
from testimonia.files import locked, read_json, write_json

OWNER = "owner@example.net"
START_SECONDS = 300
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
    """The server that runs from this folder. Raises StudioError where none does."""
    path = folder / "server.json"
    if path.is_file():
        running = read_json(path)
        if isinstance(running, dict) and _healthy(str(running.get("url"))):
            return Address(running["url"], read_secrets(folder)["token"])
    raise StudioError("no Label Studio is running; start one with `testimonia serve` in another terminal")


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
def running(folder: Path, port: int = 0) -> Iterator[Server]:
    """Starts the server, yields once it answers, and stops it. Port 0: a free one.

    Raises StudioError where the package is missing, the folder is in use, or it does not come up in time.
    """
    command = shutil.which("label-studio", path=os.pathsep.join([str(Path(sys.executable).parent), os.defpath]))
    if command is None:
        raise StudioError("the package label-studio is not installed; pip install 'testimonia[studio]'")
    values = read_secrets(folder)
    with locked(folder / "server.json"):
        port = port or _free_port()
        url = f"http://127.0.0.1:{port}"
        log = os.open(folder / "studio.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        process = subprocess.Popen(
            [command, "start", "--no-browser", "--port", str(port), "--internal-host", "127.0.0.1"],
            env=_environment(folder, url, values),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        os.close(log)
        try:
            _wait(process, url, folder)
            write_json(folder / "server.json", {"url": url, "pid": process.pid}, mode=0o600)
            yield Server(Address(url, values["token"]), process, folder / "studio.log")
        finally:
            (folder / "server.json").unlink(missing_ok=True)
            _stop(process)


def _environment(folder: Path, url: str, values: Mapping[str, str]) -> dict[str, str]:
    prefixes = ("LABEL_STUDIO_", "POSTGRE_", "DJANGO_", "SENTRY_", "FRONTEND_SENTRY")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    return inherited | {
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder / "studio"),
        "LABEL_STUDIO_HOST": url,
        "LABEL_STUDIO_USERNAME": values["email"],
        "LABEL_STUDIO_PASSWORD": values["password"],
        "LABEL_STUDIO_USER_TOKEN": values["token"],
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "SECRET_KEY": values["secret_key"],
        "DJANGO_DB": "sqlite",
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "DEBUG": "false",
    }


def _wait(process: subprocess.Popen[bytes], url: str, folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StudioError(f"Label Studio did not start; see {folder / 'studio.log'}")
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
