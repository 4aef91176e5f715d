# SPDX-License-Identifier: GPL-2.0-or-later
"""Sessions behind a UDP socket, with the repetitions that datagrams need."""
import select
import time

import isakmp
from session import Session
from talk import system_random

REPEAT = 2.0    # seconds until the last message goes out again


class Endpoint:
    """A bound socket, the address of the peer, and all sessions with it."""

    def __init__(self, sock, config, peer, random=system_random):
        self.sock, self.config, self.peer, self.random = sock, config, peer, random
        self.sessions = {}      # CKY-I -> Session, the newest last
        self.sent = []          # to be repeated while nothing comes
        self.seen = 0           # datagrams received

    @property
    def events(self):
        """Events of all sessions, in the order in which the sessions began."""
        return [event for s in self.sessions.values() for event in s.events]

    @property
    def session(self):
        """The newest session."""
        return list(self.sessions.values())[-1]

    def initiate(self):
        """Begin phase 1."""
        session = Session(self.config, True, self.random)
        first = session.start()
        self.sessions[first[:8]] = session
        self.send([first])
        return session

    def send(self, messages):
        """Send messages; they are repeated until something comes back."""
        self.sent = messages
        for message in messages:
            self.sock.sendto(message, self.peer)

    def pump(self, done, seconds):
        """Answer whatever comes until done() or time is up; the value of done()."""
        end = time.monotonic() + seconds
        again = time.monotonic() + REPEAT
        while not done():
            now = time.monotonic()
            if now >= end:
                return done()
            if now >= again:
                self.send(self.sent)
                again = now + REPEAT
            # short, as done() may look at more than at what comes
            if select.select([self.sock], [], [], min(end - now, 0.1))[0]:
                self._take(*self.sock.recvfrom(65535))
                again = time.monotonic() + REPEAT
        return done()

    def drain(self):
        """Throw away what has come."""
        while select.select([self.sock], [], [], 0)[0]:
            self.sock.recv(65535)

    def _take(self, message, source):
        if source[0] != self.peer[0] or len(message) < isakmp.HEADER.size:
            return
        self.seen += 1
        cookie = message[:8]
        if cookie not in self.sessions:
            if message[8:16] != bytes(8):
                return      # of an ISAKMP SA that is not known here
            self.sessions[cookie] = Session(self.config, False, self.random)
            self.peer = source
        answers = self.sessions[cookie].receive(message)
        self.sent = []
        if answers:
            self.send(answers)
            if not message[8:16] == bytes(8) and self.sessions[cookie].sa:
                self.sent = []      # the end of an exchange is not repeated unasked
