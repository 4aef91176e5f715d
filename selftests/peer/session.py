# SPDX-License-Identifier: GPL-2.0-or-later
"""One peer: phase 1, then any number of quick modes and informational exchanges.

Messages in, messages out; `events` tells what happened, as dictionaries that
can be printed as JSON.
"""
import isakmp
import phase2
from crypto import Refused
from phase1 import Phase1


class Session:
    """Everything with one other peer, from one phase 1."""

    def __init__(self, config, initiator, random):
        self.config, self.random = config, random
        self.values = {}        # name -> octets, of phase 1 and the last quick mode
        self.events = []
        self.phase1 = Phase1(config, initiator, random, self.values)
        self.quicks = {}        # message id -> Quick
        self.ipsec = []         # results of quick modes
        self.answered = {}      # message -> its answers: repetitions get the same
        self.dpd_sequence = 0
        self.over = False

    @property
    def sa(self):
        """The ISAKMP SA, when there is one."""
        return self.phase1.sa

    def start(self):
        """The first message of phase 1."""
        return self.phase1.start()

    def receive(self, message):
        """Messages that answer this one."""
        if message in self.answered:
            return self.answered[message]
        try:
            answers = self._dispatch(*isakmp.parse_header(message))
        except (isakmp.Malformed, Refused) as e:
            notify = getattr(e, "notify", None)
            self.events.append({"event": "refused", "reason": str(e)})
            answers = [self._notify(notify)] if notify else []
        self.answered[message] = answers
        return answers

    def _notify(self, kind):
        mid = self.random(4, "message id")
        number = int.from_bytes(mid, "big")
        if self.sa:
            return phase2.informational(self.sa, number, [isakmp.notification(kind)])
        return phase2.clear_notification(self.phase1.cky["i"], self.phase1.cky["r"], number,
                                         kind)

    def _dispatch(self, header, body):
        if header.exchange == isakmp.INFORMATIONAL:
            return self._informational(header, body)
        if header.exchange == isakmp.QUICK:
            return self._quick(header, body)
        if header.message_id:
            raise Refused("phase 1 with a message id")
        before = self.sa
        answer = self.phase1.receive(header, body)
        if self.sa and not before:
            self.events.append({
                "event": "phase1", "peer_id": isakmp.identity_text(self.sa.peer_id),
                "cky_i": self.sa.cky_i.hex(), "cky_r": self.sa.cky_r.hex(),
                **{name: self.values[name].hex() for name in
                   ("SKEYID", "SKEYID_d", "SKEYID_a", "SKEYID_e", "cipher key")}})
        return [answer] if answer else []

    # --- phase 2 -----------------------------------------------------------------------

    def quick(self):
        """The first message of a new quick mode."""
        mid = int.from_bytes(self.random(4, "message id"), "big") or 1
        self.quicks[mid] = phase2.Quick(self.config, self.sa, True, mid, self.random,
                                        self.values)
        return self.quicks[mid].start()

    def _quick(self, header, body):
        if not self.sa:
            raise Refused("quick mode before phase 1 is over")
        mid = header.message_id
        if mid not in self.quicks:
            self.quicks[mid] = phase2.Quick(self.config, self.sa, False, mid, self.random,
                                            self.values)
        one = self.quicks[mid]
        before = one.result
        answer = one.receive(header, body)
        if one.result and not before:
            self._established(one.result)
        return [answer] if answer else []

    def _established(self, result):
        self.ipsec.append(result)
        self.events.append({
            "event": "phase2", "protocol": result.suite.protocol,
            "spi_in": result.spi_in.hex(), "spi_out": result.spi_out.hex(),
            "keymat_in": result.keymat_in.hex(), "keymat_out": result.keymat_out.hex(),
            "enc_key_octets": result.suite.enc_key,
            "ids": [isakmp.identity_text(i) for i in (result.idci, result.idcr) if i]})

    # --- informational -------------------------------------------------------------------

    def _send(self, payloads):
        mid = int.from_bytes(self.random(4, "message id"), "big") or 1
        return phase2.informational(self.sa, mid, payloads)

    def dpd(self):
        """R-U-THERE (RFC 3706)."""
        if not self.dpd_sequence:
            self.dpd_sequence = int.from_bytes(self.random(4, "DPD"), "big") >> 1
        self.dpd_sequence += 1
        return self._send([self._dpd(isakmp.R_U_THERE, self.dpd_sequence.to_bytes(4, "big"))])

    def _dpd(self, kind, sequence):
        return isakmp.notification(kind, isakmp.PROTO_ISAKMP,
                                   self.sa.cky_i + self.sa.cky_r, sequence)

    def delete(self):
        """Messages that delete all SAs: IPsec first, then ISAKMP."""
        out = [self._send([isakmp.delete(r.suite.protocol, [r.spi_in])])
               for r in self.ipsec]
        self.ipsec, self.over = [], True
        return out + [self._send([isakmp.delete(isakmp.PROTO_ISAKMP,
                                                [self.sa.cky_i + self.sa.cky_r])])]

    def _informational(self, header, body):
        if self.sa:
            payloads = phase2.open_informational(self.sa, header, body)
        elif header.flags & isakmp.ENCRYPTION:
            raise Refused("encrypted informational message before phase 1 is over")
        else:
            payloads = isakmp.unchain(header.first, body)[0]
        out = []
        for p in payloads:
            if p.type == isakmp.NOTIFICATION:
                out += self._notified(*isakmp.parse_notification(p.body))
            elif p.type == isakmp.DELETE and self.sa:
                self._deleted(*isakmp.parse_delete(p.body))
        return out

    def _notified(self, kind, protocol, spi, data):
        self.events.append({"event": "notify", "kind": kind, "protocol": protocol,
                            "spi": spi.hex(), "data": data.hex(), "sealed": bool(self.sa)})
        if kind in (isakmp.R_U_THERE, isakmp.R_U_THERE_ACK):
            if not self.sa or spi != self.sa.cky_i + self.sa.cky_r:
                raise Refused("dead peer detection for another ISAKMP SA")
        if kind == isakmp.R_U_THERE:
            return [self._send([self._dpd(isakmp.R_U_THERE_ACK, data)])]
        if kind == isakmp.R_U_THERE_ACK and data != self.dpd_sequence.to_bytes(4, "big"):
            raise Refused("R-U-THERE-ACK with a number that was not asked")
        return []

    def _deleted(self, protocol, spis):
        self.events.append({"event": "delete", "protocol": protocol,
                            "spis": [spi.hex() for spi in spis]})
        if protocol == isakmp.PROTO_ISAKMP:
            self.over = True
        else:
            self.ipsec = [r for r in self.ipsec if r.spi_out not in spis]
