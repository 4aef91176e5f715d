#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Published vectors: through lib/espcodec.py, and whole packets through the module."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import espcodec
import gateway
import moatnl
import netns
import vectors
from ktap import Results, check, same, wait_for
from moatnl import IN

OURS, PEERS, HOST = gateway.OURS[4], gateway.PEERS[4], gateway.HOST[4]


def binary(*texts):
    return [bytes.fromhex(t) for t in texts]


# --- the codec ---------------------------------------------------------------------

def cbc():
    """RFC 3602: text both ways, and the text of whole packets, which have no ICV."""
    for row in vectors.CBC:
        key, iv, plain, text = binary(*row)
        cipher = espcodec.cipher_of("aes128", key)
        same((cipher.seal(iv, plain), cipher.open(iv, text)), (text, plain), row[0])
    for key, spi, seq, iv, plain, text in vectors.CBC_PACKETS:
        key, iv, plain, text = binary(key, iv, plain, text)
        codec = espcodec.Codec("aes128-sha1", (key, bytes(20)))
        pad, next_header = plain[-2:]
        packet = codec.seal(spi, seq, plain[:-2 - pad], next_header, iv)
        head = spi.to_bytes(4, "big") + seq.to_bytes(4, "big")
        same(packet[:-12].hex(), (head + iv + text).hex(), f"packet {spi:x}/{seq}")


def ctr():
    """RFC 3686"""
    for row in vectors.CTR:
        key, nonce, iv, plain, text = binary(*row)
        cipher = espcodec.cipher_of(f"aes{len(key) * 8}ctr", key + nonce)
        same((cipher.seal(iv, plain), cipher.open(iv, text)), (text, plain), row[0])


def macs():
    """RFC 3566 and RFC 4494"""
    for row in vectors.XCBC:
        message, mac = binary(*row)
        same(espcodec.xcbc(bytes(range(16)), message).hex(), mac.hex(), f"XCBC of {row[0]}")
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    for row in vectors.CMAC:
        message, mac = binary(*row)
        same(espcodec.cmac(key, message)[:12].hex(), mac.hex(), f"CMAC of {row[0]}")


def gcm():
    """The GCM specification's, with its IV as salt and IV of RFC 4106."""
    aad, plain, nonce = binary(vectors.GCM_AAD, vectors.GCM_PLAIN, vectors.GCM_NONCE)
    for size, row in vectors.GCM.items():
        text, icv, icv_aad, zero_text, zero_icv, nothing = binary(*row)
        key = bytes.fromhex(vectors.GCM_KEY)[:size]
        for length in (16, 12, 8):
            mode = espcodec.combined_of(f"aes{size * 8}gcm{length}", key + nonce[:4])
            same(mode.seal(nonce[4:], plain, b""), text + icv[:length], "case 3")
            sealed = text[:-4] + icv_aad[:length]
            same(mode.seal(nonce[4:], plain[:-4], aad), sealed, "case 4")
            same(mode.open(nonce[4:], sealed, aad), plain[:-4], "case 4, opened")
        mode = espcodec.combined_of(f"aes{size * 8}gcm16", bytes(size + 4))
        same(mode.seal(bytes(8), bytes(16), b""), zero_text + zero_icv, "case 2")
        same(mode.seal(bytes(8), b"", b""), nothing, "case 1")


def ccm():
    """RFC 3610, packet vector 1: its nonce is longer than RFC 4309's."""
    key, nonce, aad, plain, sealed = binary(
        "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf", "00000003020100a0a1a2a3a4a5", "0001020304050607",
        "08090a0b0c0d0e0f101112131415161718191a1b1c1d1e",
        "588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0")
    mode = espcodec.combined_of("aes128ccm8", key + nonce[:3])
    same((mode.seal(nonce[3:], plain, aad), mode.open(nonce[3:], sealed, aad)),
         (sealed, plain), "packet vector 1")


def numbers(head):
    """SPI, sequence number and whether it is extended, of 8 or 12 octets."""
    head = bytes.fromhex(head)
    return int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big"), len(head) == 12


def gcm_packets():
    """draft-mcgrew-gcm-test-01"""
    for name, key, head, iv, plain, sealed in vectors.GCM_PACKETS:
        spi, seq, esn = numbers(head)
        key, iv, plain, sealed = binary(key, iv, plain, sealed)
        mode = espcodec.combined_of(name, key)
        same(mode.seal(iv, plain, bytes.fromhex(head)).hex(), sealed.hex(),
             f"{name}, SPI {spi:x}")
        codec = espcodec.Codec(name, (key, b""), esn)
        wire = bytes.fromhex(head)[:4] + (seq & 0xffffffff).to_bytes(4, "big") + iv + sealed
        same(codec.decrypt(wire, seq >> 32), plain, f"{name}, SPI {spi:x}, opened")


def chacha():
    """RFC 7634, appendix A"""
    source, packet = binary(*vectors.CHACHA[0])
    codec = espcodec.Codec("chacha20poly1305", (bytes(range(0x80, 0xa4)), b""))
    same(codec.seal(0x01020304, 5, source, 4, bytes(range(0x10, 0x18))), packet[20:], "packet")
    same(codec.open(packet[20:]), (source, 4), "opened")


# --- the module --------------------------------------------------------------------

def inbound(gw, name, keys, spi, seq, esn=False):
    """An SA of the vector, which has seen all numbers before it."""
    gw.reset()
    gw.nl.request("sa-add", {"sa": moatnl.sa(
        IN, spi, PEERS, OURS, name, keys, seq=max(seq - 1, 0), esn=esn)})


def outer(packet):
    return bytes(gateway.IP(src=PEERS, dst=OURS, proto=50) / gateway.Raw(packet))


def module_tunnel(gw, name, keys, spi, seq, packet, inner):
    """A tunnel mode packet arrives; the inner one leaves, one hop older."""
    inbound(gw, name, keys, spi, seq)
    gw.send("wan", packet)
    got = gw.receive("lan", 1)
    same([d.hex() for d in got], [gateway.routed(gateway.IP(inner)).hex()], "inner packet")
    sa = gw.nl.sa_of(spi)
    same((sa["seq"], sa["packets"], sa.get("drop", {})), (seq, 1, {}), "the SA")


def module_chacha(gw):
    """The whole packet of RFC 7634, with its own addresses."""
    source, packet = binary(*vectors.CHACHA[0])
    netns.ip("addr add 203.0.113.5/32 dev lo", f"route add 192.0.2.5 via {HOST} dev lan",
             ns=gw.name)
    gw.reset()
    gw.nl.request("sa-add", {"sa": moatnl.sa(
        IN, 0x01020304, "203.0.113.153", "203.0.113.5", "chacha20poly1305",
        (bytes(range(0x80, 0xa4)), b""))})
    gw.send("wan", packet)
    same([d.hex() for d in gw.receive("lan", 1)],
         [gateway.routed(gateway.IP(source)).hex()], "inner packet")
    same(gw.nl.sa_of(0x01020304)["seq"], 5, "sequence number")


def becomes(plain):
    """Drops and packets of an inbound SA in tunnel mode, for this plain text."""
    pad, next_header = plain[-2:]
    if plain[-2 - pad:-2] != bytes(range(1, pad + 1)):
        return {"in_padding": 1}, 0
    if next_header in (4, 41):
        return {}, 1
    return {"in_dummy" if next_header == 59 else "in_next_header": 1}, 0


def module_gcm(gw):
    """draft-mcgrew-gcm-test-01: most name ICMP as what is inside, which is noticed behind a
    right ICV; one flipped bit, and the ICV is wrong."""
    for name, key, head, iv, plain, sealed in vectors.GCM_PACKETS:
        spi, seq, esn = numbers(head)
        key, iv, plain, sealed = binary(key, iv, plain, sealed)
        wire = spi.to_bytes(4, "big") + (seq & 0xffffffff).to_bytes(4, "big") + iv + sealed
        inbound(gw, name, (key, b""), spi, seq, esn)
        for packet, expected in ((wire[:-1] + bytes([wire[-1] ^ 1]), ({"in_icv": 1}, 0)),
                                 (wire, becomes(plain))):
            expected[0].setdefault("in_icv", 1)
            gw.send("wan", outer(packet))

            def found():
                sa = gw.nl.sa_of(spi)
                return sa.get("drop", {}), sa["packets"]
            wait_for(f"{expected} of {name}, SPI {spi:x}, not {found()}",
                     lambda: found() == expected, 10)


def module_cbc(gw):
    """Cases 7 and 8 of RFC 3602, with an ICV of our own at their end."""
    netns.ip(f"route add 192.168.123.200 via {HOST} dev lan", ns=gw.name)
    for key, spi, seq, iv, plain, text in vectors.CBC_PACKETS[2:]:
        keys = binary(key, "0b" * 20)
        codec = espcodec.Codec("aes128-sha1", keys)
        iv, plain, text = binary(iv, plain, text)
        packet = spi.to_bytes(4, "big") + seq.to_bytes(4, "big") + iv + text
        module_tunnel(gw, "aes128-sha1", keys, spi, seq,
                      outer(packet + codec.tag(packet, 0)), plain[:-2 - plain[-2]])


def main():
    results = Results()
    results.run("RFC 3602: AES-CBC", cbc)
    results.run("RFC 3686: AES-CTR", ctr)
    results.run("RFC 3566, 4494: AES-XCBC, AES-CMAC", macs)
    results.run("GCM specification, appendix B: AES-GCM and its ICVs", gcm)
    results.run("RFC 3610: AES-CCM", ccm)
    results.run("draft-mcgrew-gcm-test-01: packets of AES-GCM and AES-GMAC", gcm_packets)
    results.run("RFC 7634: ChaCha20-Poly1305", chacha)
    netns.shell("load_moat")
    gw = gateway.Gateway()
    results.run("module: the packet of RFC 7634", module_chacha, gw)
    results.run("module: packets of draft-mcgrew-gcm-test-01", module_gcm, gw)
    results.run("module: packets of RFC 3602", module_cbc, gw)
    gw.close()
    results.run("unload", netns.shell, "unload_moat")
    results.finish()


if __name__ == "__main__":
    main()
