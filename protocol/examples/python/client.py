#!/usr/bin/env python3
"""A client: logs in, prints what is pushed, acknowledges what is durable, and comes back when it is
cut off.

    client.py HOST PORT PRODUCT USER [--token TOKEN] [--tag TAG ...] [--count N]

With --count it leaves in order after so many pushes.
"""

import argparse
import random
import select
import socket
import sys
import time

import wire

ACK_EVERY_SECONDS = 1
ACK_EVERY_PUSHES = 64
PONG_WITHIN_SECONDS = 10
WELCOME_WITHIN_SECONDS = 15


class Ended(Exception):
    """The connection is over; code is None where the gateway gave none."""

    def __init__(self, code=None, reason=""):
        super().__init__(f"{code or 'no close'} {reason}".strip())
        self.code = code


class Client:
    """What outlives a connection: who we are and how far we came."""

    def __init__(self, args):
        self.args = args
        self.session = None
        self.processed = 0  # the greatest sequence of a durable message of ours, dealt with
        self.broadcast = 0  # the greatest number of a durable broadcast, dealt with
        self.pushes = 0

    def done(self):
        return self.args.count is not None and self.pushes >= self.args.count

    def hello(self):
        resume = self.session and {
            "session": self.session, "sequence": self.processed, "broadcast": self.broadcast,
        }
        return {
            "kind": "hello",
            "heartbeat": self.args.heartbeat,
            "product": self.args.product,
            "user": self.args.user,
            "device": "example.py",
            "token": self.args.token.encode(),
            "resume": resume,
            "tags": self.args.tag,
        }

    def welcomed(self, welcome):
        if welcome["next_sequence"] <= self.processed:
            self.processed = self.broadcast = 0  # the gateway lost its count
        self.session = welcome["session"]

    def pushed(self, push):
        """Takes a message; says whether it has to be acknowledged."""
        durable = push["class"] == "durable"
        if durable and push["broadcast"]:
            self.broadcast = max(self.broadcast, push["sequence"])
        elif durable:
            if push["sequence"] <= self.processed:
                return True  # it came before, and its acknowledgement did not arrive
            self.processed = push["sequence"]
        self.pushes += 1
        source = "broadcast" if push["broadcast"] else "message"
        print(f"{source} {push['sequence']}: {push['body'].decode(errors='replace')}", flush=True)
        return durable and not push["broadcast"]


class Connection:
    """One connection of the client, from hello to its end."""

    def __init__(self, client):
        self.client = client
        self.socket = socket.create_connection((client.args.host, client.args.port), timeout=10)
        self.buffer = bytearray()
        self.began_at = time.monotonic()
        self.heartbeat = None  # seconds, once welcomed
        self.pinged = None  # when, while the pong is awaited
        self.unacked = 0
        self.acked_at = time.monotonic()
        self.send(client.hello())

    def send(self, frame):
        self.socket.sendall(wire.encode_from_client(frame))
        self.sent_at = time.monotonic()

    def run(self):
        while True:
            readable, _, _ = select.select([self.socket], [], [], 0.25)
            if readable:
                self.receive()
            self.tend()
            if self.client.done():
                self.ack()
                self.send({"kind": "bye"})
                return

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise Ended()
        self.buffer += data
        while (found := wire.split(self.buffer, wire.PUSH_PAYLOAD)) and not self.client.done():
            kind, payload, taken = found
            del self.buffer[:taken]
            self.take(wire.decode_to_client(kind, payload))

    def take(self, frame):
        kind = frame["kind"]
        welcomed = self.heartbeat is not None
        if (kind == "welcome" and welcomed) or (kind == "push" and not welcomed):
            raise wire.Violation("wrong_state")
        if kind == "welcome":
            self.heartbeat = frame["heartbeat"]
            self.client.welcomed(frame)
            print(f"welcome, heartbeat {self.heartbeat} s", file=sys.stderr, flush=True)
        elif kind == "push":
            self.unacked += self.client.pushed(frame)
        elif kind == "pong":
            self.pinged = None
        elif kind == "notice":
            print(f"notice: {frame}", file=sys.stderr, flush=True)
        elif kind == "close":
            raise Ended(frame["code"], frame["reason"])

    def ack(self):
        if self.unacked:
            self.send({"kind": "ack", "sequence": self.client.processed})
        self.unacked = 0
        self.acked_at = time.monotonic()

    def tend(self):
        """Acknowledges and pings in time, and gives up a gateway that does not answer."""
        now = time.monotonic()
        if self.unacked >= ACK_EVERY_PUSHES or now - self.acked_at >= ACK_EVERY_SECONDS:
            self.ack()
        if self.heartbeat is None and now - self.began_at > WELCOME_WITHIN_SECONDS:
            raise Ended(reason="no welcome")
        if self.pinged and now - self.pinged > PONG_WITHIN_SECONDS:
            raise Ended(reason="no pong")
        # Half a heartbeat early, so that a slow network does not make us late.
        if self.heartbeat and not self.pinged and now - self.sent_at >= self.heartbeat / 2:
            self.send({"kind": "ping"})
            self.pinged = now


def arguments():
    parser = argparse.ArgumentParser(description="A Holdfast client.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("product")
    parser.add_argument("user")
    parser.add_argument("--token", default="")
    parser.add_argument("--tag", action="append", default=[])
    parser.add_argument("--heartbeat", type=int, default=0)
    parser.add_argument("--count", type=int)
    return parser.parse_args()


def main():
    client = Client(arguments())
    failed = 0
    while not client.done():
        began = time.monotonic()
        try:
            Connection(client).run()
            return 0
        except (OSError, Ended) as ended:
            print(f"the connection ended: {ended}", file=sys.stderr, flush=True)
            code = getattr(ended, "code", None)
            if code is not None and not wire.may_reconnect(code):
                return 1
        except wire.Violation as violation:
            print(f"the gateway broke the protocol: {violation}", file=sys.stderr)
            return 1
        failed = 0 if time.monotonic() - began > 60 else failed + 1
        delay = random.uniform(0, min(60, 2 ** min(failed, 6)))
        print(f"again in {delay:.1f} s", file=sys.stderr, flush=True)
        time.sleep(delay)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
