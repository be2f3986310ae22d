# SPDX-License-Identifier: GPL-3.0-or-later
"""A private unix socket whose connections are carried into a container by ``docker exec``, for who is not root."""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import tempfile
import weakref
from contextlib import suppress

from .._errors import PlatformError

# One process and no child of it: the container's first process is PostgreSQL itself, which inherits orphans and takes
# one that dies of a signal for a crash of its own. Debian's images have perl, Alpine's have a single-process nc.
_PERL = r"""
use IO::Socket::INET; use IO::Handle;
my $server = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) or die "$@\n";
exit if $ARGV[1] eq "probe";
my @from = (\*STDIN, $server); my @to = ($server, \*STDOUT); my @held = ("", "");
$_->blocking(0) for @to;
while (1) {
    my ($readable, $writable) = ("", "");
    for my $way (0, 1) {
        if (length $held[$way]) { vec($writable, fileno $to[$way], 1) = 1 }
        else { vec($readable, fileno $from[$way], 1) = 1 }
    }
    next if select($readable, $writable, undef, undef) < 0;
    for my $way (0, 1) {
        if (length $held[$way]) {
            next unless vec($writable, fileno $to[$way], 1);
            my $sent = syswrite($to[$way], $held[$way]);
            defined $sent ? substr($held[$way], 0, $sent, "") : $!{EAGAIN} || exit;
        } elsif (vec($readable, fileno $from[$way], 1)) {
            my $got = sysread($from[$way], $held[$way], 131072);
            $got || !defined $got && $!{EAGAIN} || exit;
        }
    }
}
"""
_CARRY = """
if command -v perl >/dev/null; then exec perl -e "$0" "$1" "$2"; fi
if command -v nc >/dev/null; then [ "$2" = probe ] && exec nc -z 127.0.0.1 "$1"; exec nc 127.0.0.1 "$1"; fi
echo "the image has neither perl nor nc" >&2; exit 127
"""
_LONGEST_FOLDER = 80
_REAP_SECONDS = 1.0


class Relay:
    """Listens in a folder of its own, which libpq takes as a host, until it is forgotten or its process is dead.

    It is a process of its own: libpq's cancel request waits for an answer with all Python threads standing still.
    """

    def __init__(self, container: str, port: int) -> None:
        self.folder = _private_folder()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{self.folder}/.s.PGSQL.{port}")
        listener.listen()
        # Its other end closes with the process that needs the relay, however that ends.
        theirs, ours = os.pipe()
        child = os.fork()
        if child == 0:
            _run(listener, theirs, self.folder, container, port)
        listener.close()
        os.close(theirs)
        self.close = weakref.finalize(self, _end, ours, child)


def probe(container: str, port: int) -> None:
    """Say what is wrong while docker's own words can still be read; libpq would only see a closed connection."""
    try:
        done = subprocess.run(
            _exec(container, port, "probe"), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise PlatformError("'docker exec' did not answer within 30 s.", "Is the Docker daemon well?") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()[0]
        raise PlatformError(
            f"PostgreSQL cannot be reached inside of the container by 'docker exec': {said}.",
            f"It must listen at 127.0.0.1:{port} in there, and the image must have perl or nc; or run as root on the"
            " Docker host (become: true).",
        )


def _exec(container: str, port: int, what: str) -> list[str]:
    # -t would corrupt what is binary.
    return ["docker", "exec", "-i", container, "sh", "-c", _CARRY, _PERL, str(port), what]


def _private_folder() -> str:
    """Closed to everybody else: who connects is let in as a local user of the container. Paths of sockets are short."""
    folder = tempfile.mkdtemp(prefix="pg-relay-")
    if len(folder) > _LONGEST_FOLDER:
        os.rmdir(folder)
        folder = tempfile.mkdtemp(prefix="pg-relay-", dir="/tmp")
    return folder


def _end(alive: int, child: int) -> None:
    os.close(alive)
    with suppress(ChildProcessError):
        os.waitpid(child, 0)


def _run(listener: socket.socket, alive: int, folder: str, container: str, port: int) -> None:
    """The relay's own process; never returns."""
    try:
        # A signal from the terminal is for the restore, which still needs its connections to clean up.
        os.setsid()
        _keep_only(listener.fileno(), alive)
        _serve(listener, alive, _exec(container, port, "carry"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)


def _keep_only(*kept: int) -> None:
    """Whoever waits for the end of a pipe of the parent's must not wait for this process."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nowhere, standard)
    for number in map(int, os.listdir("/proc/self/fd")):
        if number > 2 and number not in kept:
            with suppress(OSError):
                os.close(number)


def _serve(listener: socket.socket, alive: int, command: list[str]) -> None:
    watched: list[socket.socket | int] = [listener, alive]
    running: list[subprocess.Popen[bytes]] = []
    while True:
        ready, _writable, _failed = select.select(watched, [], [], _REAP_SECONDS if running else None)
        running = [process for process in running if process.poll() is None]
        if alive in ready:
            break
        if listener in ready:
            connection, _address = listener.accept()
            with connection, suppress(OSError):
                running.append(
                    subprocess.Popen(
                        command, stdin=connection.fileno(), stdout=connection.fileno(), stderr=subprocess.DEVNULL
                    )
                )
    for process in running:
        process.terminate()
        process.wait()
