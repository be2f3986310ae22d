# SPDX-License-Identifier: GPL-3.0-or-later
"""The first process of a far host: makes its root, then hands each connection to an sshd that serves it alone."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

_SIOCSIFFLAGS = 0x8914
_IFF_UP_AND_RUNNING = 0x1 | 0x40
_SSHD = """\
HostKey /etc/ssh/far_host_key
AuthorizedKeysFile /etc/ssh/far_authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PrintMotd no
UseDNS no
MaxStartups 100
Subsystem sftp internal-sftp
"""
_PAM = "account required pam_permit.so\nsession required pam_permit.so\n"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"mount {' '.join(words)}: {done.stderr.strip()}")


def build_root(wanted: dict[str, Any]) -> Path:
    folder = Path(wanted["folder"])
    changes, root = folder / "changes", folder / "root"
    for path in (changes, root):
        path.mkdir(exist_ok=True)
    mount("--make-rprivate", "/")
    mount("-t", "tmpfs", "far", str(changes))
    (changes / "upper").mkdir()
    (changes / "work").mkdir()
    *above, lowest = wanted["lower"]
    for number, layer in enumerate(above):  # an overlay refuses layers that lie in each other
        subprocess.run(["cp", "--archive", layer, str(changes / str(number))], check=True)
    lower = ":".join([*(f"{changes}/{number}" for number in range(len(above))), lowest])
    layers = f"lowerdir={lower},upperdir={changes}/upper,workdir={changes}/work"
    mount("-t", "overlay", "-o", layers, "far", str(root))
    for name in ("tmp", "run", "proc", "dev"):
        (root / name).mkdir(exist_ok=True)
    mount("-t", "tmpfs", "-o", "mode=1777", "far", f"{root}/tmp")
    mount("-t", "tmpfs", "-o", "mode=755", "far", f"{root}/run")
    mount("-t", "proc", "proc", f"{root}/proc")
    mount("--rbind", "/dev", f"{root}/dev")
    mount("-t", "tmpfs", "-o", "mode=1777", "far", f"{root}/dev/shm")
    for shared in wanted["shared"]:
        (root / shared[1:]).mkdir(parents=True, exist_ok=True)
        mount("--rbind", shared, f"{root}{shared}")
    return root


def settle(root: Path, folder: Path, user: str, name: str) -> None:
    """A user who may become root, and a door for him."""
    etc = root / "etc"
    home = root / "home" / user
    home.mkdir(parents=True, exist_ok=True)
    os.chown(home, 4242, 4242)
    accounts = {
        "passwd": [f"{user}:x:4242:4242::/home/{user}:/bin/bash", "sshd:x:4243:65534::/run/sshd:/usr/sbin/nologin"],
        "group": [f"{user}:x:4242:"],
        "shadow": [f"{user}:*:19000:0:99999:7:::", "sshd:!:19000::::::"],
    }
    for file, lines in accounts.items():
        known = (etc / file).read_text().splitlines()
        names = {line.partition(":")[0] for line in known}
        fresh = [line for line in lines if line.partition(":")[0] not in names]
        (etc / file).write_text("\n".join([*known, *fresh, ""]))
    (etc / "hosts").write_text(f"127.0.0.1 localhost {name}\n::1 localhost\n")
    (etc / "hostname").write_text(f"{name}\n")
    for path, content, mode in (
        ("sudoers.d/far", f"{user} ALL=(ALL:ALL) NOPASSWD: ALL\n", 0o440),
        ("pam.d/sudo", _PAM, 0o644),
        ("ssh/far_sshd_config", _SSHD, 0o644),
        ("ssh/far_host_key", (folder / "host_key").read_text(), 0o600),
        ("ssh/far_authorized_keys", (folder / "user_key.pub").read_text(), 0o644),
    ):
        file = etc / path
        file.parent.mkdir(exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_text(content)
        file.chmod(mode)
    # A package that is installed here starts no service.
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    (root / "run" / "sshd").mkdir(mode=0o755, exist_ok=True)


def loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", _IFF_UP_AND_RUNNING, b""))


def bury(*_signal: object) -> None:
    """The first process inherits every orphan."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def serve(listener: socket.socket, said: int) -> None:
    signal.signal(signal.SIGCHLD, bury)
    while True:
        connection, _where = listener.accept()
        with connection:
            os.posix_spawn(
                "/usr/sbin/sshd",
                ["/usr/sbin/sshd", "-i", "-e", "-f", "/etc/ssh/far_sshd_config"],
                {"PATH": _PATH, "LC_ALL": "C.UTF-8"},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, connection.fileno(), 0),
                    (os.POSIX_SPAWN_DUP2, connection.fileno(), 1),
                    (os.POSIX_SPAWN_DUP2, said, 2),
                ],
                setsid=True,
                setsigmask=[],
                setsigdef=[signal.SIGCHLD, signal.SIGPIPE, signal.SIGINT],
            )


def main() -> None:
    wanted = json.loads(sys.argv[1])
    listener = socket.socket(fileno=wanted["listener"])
    listener.set_inheritable(False)
    folder = Path(wanted["folder"])
    socket.sethostname(wanted["name"])
    loopback_up()
    root = build_root(wanted)
    settle(root, folder, wanted["user"], wanted["name"])
    said = os.open(folder / "sshd.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.chroot(root)
    os.chdir("/")
    # From here on, the root of this process is that of the far host for whoever looks through /proc.
    print("ready", flush=True)
    serve(listener, said)


main()
