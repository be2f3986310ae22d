# SPDX-License-Identifier: GPL-3.0-or-later
"""Another host on this machine: a root, a network and processes of its own, reached over loopback by a real sshd.

Its root is a copy on write, of this machine's or of a bare Debian, and vanishes with it. It sees this machine's folders
only where they are shared with it by name.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Thread
from typing import Any

from tests.conftest import ROOT

USER = "deploy"
KEPT = ROOT / ".build" / "debian"
RELEASE, MIRROR = "bookworm", "deb.debian.org"
_PACKAGES = ("openssh-server", "openssh-sftp-server", "sudo")
#: What sshd is linked with in some releases only.
_IF_THERE_ARE = ("libwrap0",)
_TOOLS = ("unshare", "mount", "chroot", "setpriv", "ssh", "ssh-keygen")
_CLONE_NEWNET = 0x40000000


class CannotBe(Exception):
    """There can be no other host on this machine; the message says why."""


@dataclass(frozen=True)
class Base:
    """What the root of a far host is a copy of."""

    lower: tuple[Path, ...]
    #: Folders of this machine that it sees at the same place.
    shared: tuple[Path, ...] = ()


def this_machine(*shared: Path) -> Base:
    """A root like this machine's, with sshd and sudo where it has none, and with the Python that runs the tests."""
    pythons = {Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()}
    return Base((*_ssh_and_sudo(), Path("/")), (ROOT, *sorted(pythons), *shared))


def _ssh_and_sudo() -> tuple[Path, ...]:
    if shutil.which("sshd", path="/usr/sbin:/sbin:/usr/bin") and shutil.which("sudo"):
        return ()
    unpacked = KEPT / "ssh-and-sudo"
    if not (unpacked / "usr/bin/sudo").exists():
        _unpack(unpacked)
    return (unpacked,)


def bare_debian(*shared: Path) -> Base:
    """What debootstrap makes, with sshd and sudo, as a provider hands it over. It has no Python."""
    if shutil.which("debootstrap") is None:
        raise CannotBe("debootstrap is not on this machine")
    installed = KEPT / RELEASE
    if not (installed / "etc/os-release").exists():
        partial = installed.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.parent.mkdir(parents=True, exist_ok=True)
        included = "--include=openssh-server,sudo"
        command = ["debootstrap", "--variant=minbase", included, RELEASE, str(partial), f"http://{MIRROR}/debian"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CannotBe(f"debootstrap failed: {done.stdout.strip()[-200:]}")
        partial.rename(installed)
    return Base((installed,), shared)


def _unpack(folder: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise CannotBe("neither sshd and sudo nor apt-get are on this machine")
    packed = folder.with_suffix(".packed")
    for leftover in (packed, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    packed.mkdir(parents=True)
    packed.chmod(0o777)  # apt-get downloads as a user of its own
    wanted = [[*_PACKAGES], *([name] for name in _IF_THERE_ARE)]
    for names in wanted:
        done = subprocess.run(["apt-get", "download", *names], cwd=packed, capture_output=True, text=True, check=False)
        if done.returncode != 0 and names == wanted[0]:
            raise CannotBe(f"apt-get cannot download {', '.join(names)}: {done.stderr.strip()[-200:]}")
    partial = folder.with_suffix(".partial")
    for package in packed.iterdir():
        subprocess.run(["dpkg", "-x", str(package), str(partial)], check=True)
    for name in ("bin", "lib", "sbin"):  # links into usr on any machine of now, which a folder must not cover
        if (partial / name).is_dir():
            shutil.copytree(partial / name, partial / "usr" / name, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(partial / name)
    shutil.rmtree(packed)
    partial.rename(folder)


class FarHost:
    """A host that is up. Its user may become root without a password.

    :param folder: where its keys and its log are; on this machine.
    """

    def __init__(self, folder: Path, base: Base, name: str = "far") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.name = name
        self.key = folder / "user_key"
        self._known_hosts = folder / "known_hosts"
        for key in (self.key, folder / "host_key"):
            if not key.exists():
                self._run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(64)
            self.port: int = listener.getsockname()[1]
            self._process = self._start(listener, base)
        host_key = (folder / "host_key.pub").read_text().rsplit(" ", 1)[0]
        self._known_hosts.write_text(f"[127.0.0.1]:{self.port} {host_key}\n")

    def _start(self, listener: socket.socket, base: Base) -> subprocess.Popen[str]:
        wanted = {
            "name": self.name,
            "user": USER,
            "folder": str(self.folder),
            "lower": [str(path) for path in base.lower],
            "shared": [str(path) for path in base.shared],
            "listener": listener.fileno(),
        }
        own = ("--mount", "--uts", "--net", "--pid", "--ipc", "--fork", "--kill-child=SIGKILL")
        process = subprocess.Popen(
            ["unshare", *own, sys.executable, "-m", "tests.far", json.dumps(wanted)],
            cwd=ROOT,
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            _out, said = process.communicate(timeout=10)
            raise CannotBe(f"no namespaces and overlays of our own here: {said.strip()[-300:] or 'no reason given'}")
        return process

    def close(self) -> None:
        """Its first process ends, and with it all others."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> FarHost:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @cached_property
    def _init(self) -> int:
        """The first process of the host, as this machine numbers it."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return int(children[0])

    @property
    def root(self) -> Path:
        """Its files, as root of this machine sees them."""
        root = Path(f"/proc/{self._init}/root")
        assert root.stat().st_dev != Path("/").stat().st_dev, "that would be this machine's own root"
        return root

    @contextmanager
    def network(self) -> Iterator[None]:
        """What this thread connects to and starts is in the network of that host."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net") as own, open(f"/proc/{self._init}/ns/net") as far:
            _enter(libc, far.fileno())
            try:
                yield
            finally:
                _enter(libc, own.fileno())

    @contextmanager
    def with_mirror(self) -> Iterator[None]:
        """Debian's mirror stands in the network of that host, and nothing else of the world."""
        with self.network():
            listener = socket.create_server(("127.0.0.1", 80))
        # As a proxy: without an address but loopback's, no name is resolved there.
        (self.root / "etc/apt/apt.conf.d/90far").write_text('Acquire::http::Proxy "http://127.0.0.1:80";\n')
        with listener:
            relay = Thread(target=_relay, args=(listener, (MIRROR, 80)), daemon=True)
            relay.start()
            try:
                yield
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                relay.join()

    @property
    def _options(self) -> list[str]:
        return ["-F", "none", "-o", f"UserKnownHostsFile={self._known_hosts}", "-o", "StrictHostKeyChecking=yes"]

    @property
    def variables(self) -> dict[str, Any]:
        """How Ansible reaches it."""
        return {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": USER,
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": " ".join(self._options),
            "ansible_become": True,
        }

    def ssh(self, command: str) -> str:
        """What a command of the user prints."""
        where = ("-i", str(self.key), "-p", str(self.port), f"{USER}@127.0.0.1")
        return self._run("ssh", *self._options, *where, command)

    @staticmethod
    def _run(*command: str) -> str:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
        return done.stdout


def _relay(listener: socket.socket, to: tuple[str, int]) -> None:
    while True:
        try:
            near, _where = listener.accept()
        except OSError:  # it was shut down
            return
        try:
            far = socket.create_connection(to, timeout=60)
        except OSError:
            near.close()
            continue
        for source, sink in ((near, far), (far, near)):
            Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _enter(libc: ctypes.CDLL, namespace: int) -> None:
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def lacking(tools: Sequence[str] = _TOOLS) -> str:
    """Why there can be no far host here; empty when nothing is known to be in the way."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a host of its own needs Linux and root: namespaces, an overlay and sudo"
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return f"not on this machine: {', '.join(missing)}" if missing else ""
