#!/usr/bin/env python3
"""A backend: sends one request and prints its answer.

    backend.py HOST PORT push PRODUCT USER TEXT
    backend.py HOST PORT durable PRODUCT USER TEXT [KEY]
    backend.py HOST PORT broadcast PRODUCT TEXT
    backend.py HOST PORT online PRODUCT USER [USER ...]
    backend.py HOST PORT kick PRODUCT USER [REASON]
    backend.py HOST PORT mailbox show|purge|release PRODUCT USER
    backend.py HOST PORT counters

A durable push that was stored is followed by its receipt, if that comes within ten seconds.
The API key is taken from the variable HOLDFAST_API_KEY. Exits with 0 if the request was carried out
(and, for a push, if it was delivered, stored or acknowledged), else with 1.
"""

import os
import socket
import sys

import wire


class Backend:
    """One connection: requests go out with ids, answers are found by them."""

    def __init__(self, host, port, name, key=b""):
        self.socket = socket.create_connection((host, port), timeout=10)
        self.buffer = bytearray()
        self.next_id = 1
        self.in_flight = {}  # id: what the request costs of the window
        self.receipts = []  # what came of them beside the answers
        self.socket.sendall(wire.encode_request({"kind": "hello", "name": name, "key": key}))
        self.welcome = self.read()
        if self.welcome["kind"] != "welcome":
            raise wire.Violation("wrong_state")

    def read(self):
        """The next frame that means something here."""
        while True:
            found = wire.split(self.buffer, wire.BACKEND_PAYLOAD)
            if found is None:
                data = self.socket.recv(65536)
                if not data:
                    raise ConnectionError("the gateway closed the connection")
                self.buffer += data
                continue
            kind, payload, taken = found
            del self.buffer[:taken]
            frame = wire.decode_to_backend(kind, payload)
            if frame["kind"] == "close":
                raise ConnectionError(f"closed: {frame['code']} {frame['reason']}")
            if frame["kind"] not in ("skipped", "pong", "drain"):
                return frame

    def send(self, request):
        """Sends a request; gives its id. Many may be sent before an answer is read."""
        cost = len(request.get("targets", "1"))
        if sum(self.in_flight.values()) + cost > self.welcome["window"]:
            raise BlockingIOError("the window is full: read answers first")
        id, self.next_id = self.next_id, self.next_id + 1
        self.in_flight[id] = cost
        self.socket.sendall(wire.encode_request(request | {"id": id}))
        return id

    def answer(self):
        """The next answer, to whichever request."""
        while (frame := self.read())["kind"] == "receipt":
            self.receipts.append(frame)
        if self.in_flight.pop(frame.get("id"), None) is None:
            raise wire.Violation("wrong_state")
        return frame

    def receipt(self, product, user, sequence):
        """The receipt of a message, or None where it does not come in time. Others are kept."""
        wanted = {"kind": "receipt", "product": product, "user": user, "sequence": sequence}
        try:
            while True:
                for receipt in self.receipts:
                    if wanted.items() <= receipt.items():
                        self.receipts.remove(receipt)
                        return receipt
                self.receipts.append(self.read())
        except OSError:
            return None


def target(user, body, **fields):
    online = {"class": "online", "time_to_live": 0, "key": b"", "receipt": False}
    return {"user": user, "same_body": False, "body": body} | online | fields


def request_of(command, words):
    if command == "push":
        product, user, body = words
        return {"kind": "push", "product": product, "targets": [target(user, body.encode())]}
    if command == "durable":
        product, user, body, *key = words
        fields = {"class": "durable", "key": "".join(key).encode(), "receipt": True}
        targets = [target(user, body.encode(), **fields)]
        return {"kind": "push", "product": product, "targets": targets}
    if command == "mailbox":
        action, product, user = words
        wire.MAILBOX_ACTIONS.index(action)
        return {"kind": "mailbox", "product": product, "user": user, "action": action}
    if command == "broadcast":
        product, body = words
        return {
            "kind": "broadcast", "product": product, "tag": "", "class": "online",
            "time_to_live": 0, "users_per_second": 0, "bits_per_second": 0, "key": b"",
            "body": body.encode(),
        }
    if command == "online":
        product, *users = words
        return {"kind": "online", "product": product, "users": users}
    if command == "kick":
        product, user, *reason = words
        return {"kind": "kick", "product": product, "user": user, "reason": " ".join(reason)}
    if command == "counters":
        return {"kind": "counters"}
    raise ValueError(f"no command {command}")


def print_receipt(backend, request, outcome):
    if outcome["outcome"] != "stored":
        return  # that was the last word
    user = request["targets"][0]["user"]
    receipt = backend.receipt(request["product"], user, outcome["sequence"])
    print("no receipt yet" if receipt is None else receipt["result"])


def main():
    try:
        host, port, command, *words = sys.argv[1:]
        request, port = request_of(command, words), int(port)
    except ValueError:
        print(__doc__, file=sys.stderr)
        return 2
    key = os.environ.get("HOLDFAST_API_KEY", "").encode()
    try:
        backend = Backend(host, port, "example.py", key)
        backend.send(request)
        answer = backend.answer()
    except (OSError, wire.Violation) as error:
        print(repr(error), file=sys.stderr)
        return 1
    if answer["kind"] == "error":
        name = wire.ERRORS.get(answer["code"], answer["code"])
        print(f"error: {name} {answer['text']}", file=sys.stderr)
        return 1
    print({key: value for key, value in answer.items() if key not in ("kind", "id")}, flush=True)
    if command == "durable":
        print_receipt(backend, request, answer["outcomes"][0])
    good = ("delivered", "stored", "acked")
    return 0 if all(o["outcome"] in good for o in answer.get("outcomes", [])) else 1


if __name__ == "__main__":
    sys.exit(main())
