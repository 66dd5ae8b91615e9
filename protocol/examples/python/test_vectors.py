#!/usr/bin/env python3
"""Holds wire.py against the vectors: what it encodes, what it decodes, what it refuses."""

import json
import pathlib
import re
import sys
import unittest

import wire

VECTORS = pathlib.Path(__file__).resolve().parents[2] / "vectors"
BYTES = {"token", "session", "body"}


def unhex(hexadecimal):
    return bytes.fromhex(
        re.sub(r"\{(..)\*(\d+)\}", lambda run: run[1] * int(run[2]), hexadecimal)
    )


def plain(value, name=""):
    """The JSON of a vector with its bytes as bytes and its large numbers as numbers."""
    if isinstance(value, dict):
        return {key: plain(field, key) for key, field in value.items()}
    if isinstance(value, list):
        return [plain(field, name) for field in value]
    if isinstance(value, str) and (name in BYTES or name == "key"):
        return unhex(value)
    numbers = {"id", "job", "server_time", "sequence", "total", "delivered", "dropped", "value"}
    numbers |= {"bits_per_second", "bytes", "first", "last", "acked"}
    if isinstance(value, str) and name in numbers:
        return int(value)
    return value


def load(direction):
    return json.loads((VECTORS / f"{direction}.json").read_text())


class Encodes(unittest.TestCase):
    def check(self, direction, encode):
        for vector in load(direction)["frames"]:
            if vector["frame"]["kind"] in ("skipped", "unsupported"):
                continue
            with self.subTest(vector["name"]):
                self.assertEqual(encode(plain(vector["frame"])), unhex(vector["hex"]))

    def test_from_client(self):
        self.check("client_to_gateway", wire.encode_from_client)

    def test_requests(self):
        self.check("backend_to_gateway", wire.encode_request)


class Decodes(unittest.TestCase):
    def check(self, direction, payload_max, decode):
        vectors = load(direction)
        for vector in vectors["frames"]:
            with self.subTest(vector["name"]):
                raw = unhex(vector["hex"])
                kind, payload, taken = wire.split(raw, payload_max)
                self.assertEqual(taken, len(raw))
                self.assertEqual(decode(kind, payload), plain(vector["frame"]))
        for vector in vectors["invalid"]:
            with self.subTest(vector["name"]):
                with self.assertRaises(wire.Violation) as raised:
                    kind, payload, _ = wire.split(unhex(vector["hex"]), payload_max)
                    decode(kind, payload)
                self.assertEqual(str(raised.exception), vector["violation"])
        for vector in vectors["incomplete"]:
            with self.subTest(vector["name"]):
                self.assertIsNone(wire.split(unhex(vector["hex"]), payload_max))

    def test_to_client(self):
        self.check("gateway_to_client", wire.PUSH_PAYLOAD, wire.decode_to_client)

    def test_to_backend(self):
        self.check("gateway_to_backend", wire.BACKEND_PAYLOAD, wire.decode_to_backend)


class Varints(unittest.TestCase):
    def test_values(self):
        for vector in json.loads((VECTORS / "varint.json").read_text())["values"]:
            value, raw = int(vector["value"]), unhex(vector["hex"])
            with self.subTest(value):
                self.assertEqual(wire.varint(value), raw)
                self.assertEqual(wire.Reader(raw).varint(), value)

    def test_invalid(self):
        for vector in json.loads((VECTORS / "varint.json").read_text())["invalid"]:
            with self.subTest(vector["name"]):
                with self.assertRaisesRegex(wire.Violation, "bad_integer"):
                    wire.Reader(unhex(vector["hex"])).varint()


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
    unittest.main()
