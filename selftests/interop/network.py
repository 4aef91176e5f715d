# SPDX-License-Identifier: GPL-2.0-or-later
"""The two sites: host-a - gw-a - gw-b - host-b, one namespace each.

Also what happens in them: commands, pings, files by TCP, captures.
"""

import contextlib
import ctypes
import hashlib
import os
import re
import signal
import socket
import subprocess
import threading
import time

WAN = {"gw-a": "192.0.2.1", "gw-b": "192.0.2.2"}
LAN = {"gw-a": "10.1.0.0/24", "gw-b": "10.2.0.0/24"}
HOST = {"host-a": "10.1.0.2", "host-b": "10.2.0.2"}
LIB = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                   os.pardir, "net", "lib.sh")

PORT = 7000
DEADLINE = 120  # seconds, for one transfer, under software emulation

_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def other(gateway):
    """The other gateway."""
    return "gw-b" if gateway == "gw-a" else "gw-a"


class Failed(Exception):
    """A step that could not be done, in words."""


def run(*command, ns=None, timeout=60, check=True):
    """Run a command, in a namespace if one is named; return its output."""
    if ns:
        command = ("ip", "netns", "exec", ns) + command
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, timeout=timeout,
                              stderr=subprocess.STDOUT, errors="replace")
    except subprocess.TimeoutExpired as e:
        raise Failed(f"`{' '.join(command)}` was not done in "
                     f"{timeout} s: {(e.stdout or b'')[-500:]!r}") from e
    if check and done.returncode:
        raise Failed(f"`{' '.join(command)}` failed with status "
                     f"{done.returncode}: {done.stdout[-2000:].strip()}")
    return done.stdout


def until(what, condition, seconds):
    """Poll until condition() is true; its value, or Failed(what)."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(0.1)


@contextlib.contextmanager
def inside(ns):
    """This thread in another network namespace, for opening sockets."""
    with open("/proc/thread-self/ns/net") as home, \
            open(f"/run/netns/{ns}") as away:
        _setns(away)
        try:
            yield
        finally:
            _setns(home)


def _setns(file):
    if _libc.setns(file.fileno(), CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def build():
    """Make the namespaces and cables.

    The gateways' default routes point at each other: without SAs, and with a
    data plane that lets it, clear text would arrive. The captures tell.
    """
    run("bash", "-c", '. "$1" && topo_site_to_site', "bash", LIB)
    # what the peers would load in the middle of an exchange, or too late for
    # the fast drivers to be chosen
    run("modprobe", "-a", "aesni_intel", "sha256_ssse3", "esp4", "xfrm_user",
        "authenc", "seqiv", "echainiv", check=False)


def ping(source, target, count=3):
    """Ping; the number of packets without an answer."""
    text = run("ping", "-n", "-c", str(count), "-i", "0.2", "-W", "20",
               HOST[target], ns=source, check=False)
    seen = re.search(r"(\d+) packets transmitted, (\d+) received", text)
    if not seen:
        raise Failed(f"ping said nothing of packets: {text.strip()}")
    return int(seen[1]) - int(seen[2])


def make_file(size, token):
    """Random bytes with the token in every 16 KiB of them."""
    data = bytearray(os.urandom(size))
    for at in range(4096, size - len(token), 16384):
        data[at:at + len(token)] = token
    return bytes(data)


def sha256(data):
    """The digest that transfer() must answer for this data."""
    return hashlib.sha256(data).hexdigest()


def transfer(source, target, data):
    """Send data by TCP from host to host; return its SHA-256 there."""
    digest = hashlib.sha256()
    problems = []

    def receive(listener):
        try:
            with listener:
                conn, _ = listener.accept()
            with conn:
                conn.settimeout(DEADLINE)
                while chunk := conn.recv(1 << 18):
                    digest.update(chunk)
        except OSError as e:
            problems.append(f"receiver: {e}")

    with inside(target):
        listener = socket.create_server((HOST[target], PORT))
    listener.settimeout(DEADLINE)
    receiver = threading.Thread(target=receive, args=(listener,))
    receiver.start()
    try:
        with inside(source):
            conn = socket.create_connection((HOST[target], PORT), DEADLINE)
        with conn:
            conn.sendall(data)
    except OSError as e:
        problems.append(f"sender: {e}")
    receiver.join()
    if problems:
        raise Failed(f"{len(data)} bytes from {source} to {target}: "
                     f"{'; '.join(problems)}")
    return digest.hexdigest()


class Tcpdump:
    """A capture on a device, to a file.

    Of one direction, "in" or "out", or "inout". What XFRM decrypts passes the
    device that the ESP came by a second time, so between the gateways only
    "out" at both ends shows what is on the wire; and in the order of sending.
    """

    def __init__(self, ns, dev, direction, path):
        self.what = f"capture on {dev} of {ns}"
        self.path = path
        self.log = open(path + ".log", "w+")
        self.process = subprocess.Popen(
            ("ip", "netns", "exec", ns, "tcpdump", "-n", "-p", "-i", dev,
             "-Q", direction, "-s", "0", "-B", "32768", "-Z", "root", "-w", path),
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        until(f"{self.what}: start", lambda: "listening on" in self._said(),
              30)

    def _said(self):
        with open(self.path + ".log") as f:
            return f.read()

    # the kernel hands over what it has gathered after 1 s
    SETTLE = 1.2

    def stop(self):
        """End the capture; to be called SETTLE after the last packet."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        self.log.close()

    def complete(self):
        """Failed if the kernel lost a packet of it."""
        dropped = re.search(r"(\d+) packets? dropped", self._said())
        if not dropped or int(dropped[1]):
            raise Failed(f"{self.what} is not complete: {self._said()}")
