# SPDX-License-Identifier: GPL-2.0-or-later
"""NFQUEUE in user space: a queue whose packets are let go on one by one."""
import socket
import struct

import moatnl
import netns
from ktap import same

NETLINK_NETFILTER, QUEUE = 12, 3 << 8
MSG_PACKET, MSG_VERDICT, MSG_CONFIG = 0, 1, 2
A_PACKET_HDR, A_VERDICT_HDR = 1, 2
A_CFG_CMD, A_CFG_PARAMS = 1, 2
BIND, COPY_PACKET, ACCEPT = 1, 2, 1
NLM_F_REQUEST, NLM_F_ACK, NLMSG_ERROR = 1, 4, 2


class Queue:
    """Queue 0 of a namespace."""

    def __init__(self, ns):
        with netns.inside(ns):
            self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self.sock.bind((0, 0))
        self.sock.settimeout(10)
        self.send(MSG_CONFIG, moatnl.attr(A_CFG_CMD, struct.pack("!BBH", BIND, 0, 0)))
        self.send(MSG_CONFIG, moatnl.attr(A_CFG_PARAMS, struct.pack("!IB", 0xffff,
                                                                    COPY_PACKET)))

    def send(self, message, payload, ack=True):
        """One message to queue 0; raises when refused."""
        body = struct.pack("!BBH", 0, 0, 0) + payload
        self.sock.send(struct.pack("=IHHII", len(body) + 16, QUEUE | message,
                                   NLM_F_REQUEST | (NLM_F_ACK if ack else 0), 1, 0) + body)
        if ack:
            data = self.sock.recv(1 << 16)
            kind, = struct.unpack_from("=H", data, 4)
            code, = struct.unpack_from("=i", data, 16)
            same((kind, code), (NLMSG_ERROR, 0), "answer to a message to the queue")

    def accept(self):
        """Wait for a packet and let it go on."""
        data = self.sock.recv(1 << 17)
        kind, = struct.unpack_from("=H", data, 4)
        same(kind, QUEUE | MSG_PACKET, "message from the queue")
        number = dict(moatnl.split(data[20:]))[A_PACKET_HDR][:4]
        self.send(MSG_VERDICT, moatnl.attr(A_VERDICT_HDR, struct.pack("!I", ACCEPT) + number),
                  ack=False)

    def close(self):
        self.sock.close()
