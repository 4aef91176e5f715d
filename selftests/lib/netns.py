# SPDX-License-Identifier: GPL-2.0-or-later
"""Network namespaces, raw links and the module, for tests in the guest."""
import contextlib
import ctypes
import os
import pathlib
import select
import socket
import subprocess
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
HERE = pathlib.Path(__file__).resolve().parent
SHELL_LIBRARY = HERE.parent / "net/lib.sh"

if os.environ.get("MOAT_VM") != "1":
    sys.exit("this changes networks and modules: run it in the guest (scripts/vm --help)")


def run(*words, **options):
    """A command that must work; its output."""
    done = subprocess.run(words, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: exit {done.returncode}: {done.stdout}")
    return done.stdout


def shell(script):
    """A script over the shell library of these tests."""
    return run("bash", "-c", f'. "{SHELL_LIBRARY}" && {{ {script}\n}}')


def ip(*lines, ns=None):
    """Commands of iproute2, all in one process."""
    run("ip", *(["-n", ns] if ns else []), "-batch", "-", input="\n".join(lines) + "\n")


def setns(fd):
    if LIBC.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def inside(name):
    """Sockets made inside belong to that namespace for good."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        setns(there)
        yield
    finally:
        setns(before)
        os.close(before)
        os.close(there)


def inside_new(name):
    """Make a namespace and go inside."""
    ip(f"netns add {name}")
    return inside(name)


def sysctl(name, value):
    """Set one of this namespace's."""
    pathlib.Path("/proc/sys/" + name.replace(".", "/")).write_text(str(value))


def mac(device, ns):
    """A device's address, from a packet socket: sysfs shows another namespace."""
    with inside(ns), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.bind((device, 0))
        return sock.getsockname()[4].hex(":")


class Link:
    """One end of a wire, as raw Ethernet frames."""

    ETH_P_ALL = 3

    def __init__(self, ns, device):
        with inside(ns):
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.sock.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)    # SO_RCVBUFFORCE
            self.sock.bind((device, self.ETH_P_ALL))

    def close(self):
        self.sock.close()

    def send(self, frame):
        self.sock.send(frame)

    def drain(self):
        """Throw away what has arrived."""
        self.sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.sock.recv(1 << 17)
        self.sock.setblocking(True)

    def frames(self, seconds=0.0, wanted=None, count=None, outgoing=False):
        """Frames that arrive, or leave: until `count` match `wanted`, or time is up."""
        found = []
        end = time.monotonic() + seconds
        while count is None or len(found) < count:
            left = max(0, end - time.monotonic())
            if not select.select([self.sock], [], [], left)[0]:
                break
            frame, where = self.sock.recvfrom(1 << 17)
            if (where[2] == socket.PACKET_OUTGOING) != outgoing:
                continue
            if wanted is None or wanted(frame):
                found.append(frame)
        return found
