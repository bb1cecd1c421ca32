"""An annotator on another machine: a real SSH tunnel to the embedded server, a real browser at its far end."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from testimonia import server
from testimonia.corpus import Round, read_corpus
from testimonia.rounds import round_annotations
from testimonia.studio import Studio
from testimonia.transfer import load_seeds, project_title, pull_annotations
from tests.conftest import SHOTS
from tests.test_browser import drag, quiet, select

pytestmark = [pytest.mark.server, pytest.mark.browser]
FAR = "127.0.0.2"  # stands for the loopback of the other machine
ROUND = Round("remote", "annotation", True)


def free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def answers(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0


def wait_for(address: str, port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        if answers(address, port):
            return
        assert process.poll() is None, process.args
        time.sleep(0.1)
    raise AssertionError(f"nothing answers at {address}:{port}")


@pytest.fixture
def tunnel(running: server.Server, tmp_path: Path) -> Iterator[str]:
    """The address of the server at the far end of `ssh -N -L`, through an sshd of this test."""
    for name in ("host", "own"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    keys = tmp_path / "authorized_keys"
    keys.write_text((tmp_path / "own.pub").read_text())
    keys.chmod(0o600)
    port, there = free_port("127.0.0.1"), urlsplit(running.address.url).port
    config = tmp_path / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {tmp_path}/host\nAuthorizedKeysFile {keys}\nStrictModes no\n"
        f"PidFile none\nUsePAM no\nPasswordAuthentication no\nAllowTcpForwarding local\nPermitOpen 127.0.0.1:{there}\n"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {(tmp_path / 'host.pub').read_text()}")
    daemon = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(config)], stderr=subprocess.DEVNULL)
    try:
        wait_for("127.0.0.1", port, daemon)
        user = pwd.getpwuid(os.getuid()).pw_name
        options = ["-o", f"UserKnownHostsFile={known}", "-o", "ExitOnForwardFailure=yes", "-o", "IdentitiesOnly=yes"]
        far = free_port(FAR)
        forward = ["-N", "-L", f"{FAR}:{far}:127.0.0.1:{there}", "-i", str(tmp_path / "own"), "-p", str(port)]
        client = subprocess.Popen(["ssh", *options, *forward, f"{user}@127.0.0.1"], stderr=subprocess.DEVNULL)
        try:
            wait_for(FAR, far, client)
            yield f"http://{FAR}:{far}"
        finally:
            client.terminate()
            client.wait(10)
    finally:
        daemon.terminate()
        daemon.wait(10)


def test_an_annotator_works_through_a_tunnel(
    tunnel: str, browser: Browser, studio: Studio, alone: Path, tmp_path: Path
) -> None:
    there = read_corpus(alone)
    corpus = replace(there, scheme=replace(there.scheme, name="tunnel"))
    load_seeds(corpus, studio, ROUND, False, quiet)
    project = studio.project(project_title(corpus, ROUND))
    listed: list[Any] = list(studio.client.tasks.list(project=project, include="id,data"))
    [task] = [task.id for task in listed if task.data["doc_id"] == "fr-2"]
    password = studio.add_annotator("far@example.org")
    context = browser.new_context(viewport={"width": 1500, "height": 1000})
    page = context.new_page()
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
    page.goto(f"{tunnel}/user/login")
    page.fill("input[name=email]", "far@example.org")
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: "/user/login" not in url)
    page.wait_for_load_state("networkidle")
    page.goto(f"{tunnel}/projects/{project}/data?task={task}")
    page.wait_for_selector(".lsf-richtext__line")
    page.wait_for_timeout(2000)
    page.keyboard.press("1")
    drag(page, "Kim Jong-un", False)
    select(page, 0)
    page.keyboard.press("q")
    page.wait_for_timeout(500)
    page.screenshot(path=SHOTS / "tunnel.png")
    page.locator("button:has-text('Submit')").click()
    page.wait_for_selector("button:has-text('Update')")
    context.close()
    assert asked - {""} == {urlsplit(tunnel).netloc}
    pull_annotations(corpus, studio, ROUND, tmp_path, quiet)
    [annotation] = round_annotations(corpus, ROUND)[0]
    assert (annotation.annotator, len(annotation.spans)) == ("far", 1)
