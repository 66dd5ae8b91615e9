"""The Holdfast wire as SPEC.md describes it: what a client and a backend need, and nothing else.

Frames are dicts with the names that the vectors use; bytes are bytes.
"""

CLIENT_PAYLOAD = 4096
PUSH_PAYLOAD = 1048584
BACKEND_PAYLOAD = 4194304
SEQUENCE_MAX = (1 << 49) - 1
BODY_BYTES_CEILING = 1 << 20
U16, U32, U64 = (1 << 16) - 1, (1 << 32) - 1, (1 << 64) - 1

CLASSES = ["online", "durable"]
OUTCOMES = ["delivered", "offline", "stored", "acked", "expired", "rejected", "busy", "dropped"]
REJECTIONS = {
    1: "empty_body", 2: "body_too_long", 3: "no_store", 4: "mailbox_full", 5: "store_full",
}
DROPS = {
    1: "outbox_full", 2: "connection_lost", 3: "shutdown", 4: "made_room", 5: "purged",
    6: "unreadable",
}
ENDS = ("acked", "expired", "dropped")  # the outcomes of receipts
MAILBOX_ACTIONS = ["show", "purge", "release"]
JOB_STATES = ["running", "paused", "done", "cancelled"]
ERRORS = {
    1: "window_overrun", 2: "unknown_product", 3: "unknown_job", 4: "empty_body",
    5: "body_too_long", 6: "no_store", 7: "too_many_jobs", 8: "duplicate_id",
    9: "shutting_down", 10: "unsupported", 11: "store_busy", 12: "store_full",
}


class Violation(Exception):
    """The peer broke the protocol; the connection is of no more use."""


def may_reconnect(code):
    """Whether a close code allows to come back by itself."""
    return code < 3500


# ---- framing ----


def split(buffer, payload_max):
    """The first frame of buffer as (kind, payload, bytes taken), or None while it is incomplete."""
    length = 0
    for index in range(4):
        if len(buffer) < 2 + index:
            return None
        byte = buffer[1 + index]
        length |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            break
    else:
        raise Violation("frame_too_large")
    if byte == 0 and index > 0:
        raise Violation("bad_integer")
    if length > payload_max:
        raise Violation("frame_too_large")
    start = 2 + index
    if len(buffer) < start + length:
        return None
    return buffer[0], bytes(buffer[start : start + length]), start + length


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def text(value):
    raw = value.encode()
    return bytes([len(raw)]) + raw


def lengthy(raw):
    return varint(len(raw)) + raw


def frame(kind, *fields):
    payload = b"".join(fields)
    return bytes([kind]) + varint(len(payload)) + payload


class Reader:
    """Takes the fields off a payload, one after the other."""

    def __init__(self, payload):
        self.left = payload

    def take(self, length):
        if length > len(self.left):
            raise Violation("field_past_end")
        taken, self.left = self.left[:length], self.left[length:]
        return taken

    def byte(self):
        return self.take(1)[0]

    def varint(self, least=0, most=U64):
        value = 0
        for index in range(10):
            byte = self.byte()
            value |= (byte & 0x7F) << (7 * index)
            if index == 9 and byte > 1:
                raise Violation("bad_integer")
            if byte < 0x80:
                break
        if byte == 0 and index > 0:
            raise Violation("bad_integer")
        if not least <= value <= most:
            raise Violation("out_of_bounds")
        return value

    def text(self, least=0, most=255):
        length = self.byte()
        if not least <= length <= most:
            raise Violation("out_of_bounds")
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            raise Violation("not_utf8") from None

    def flag(self):
        return self.one_of([False, True], self.byte())

    @staticmethod
    def one_of(values, number):
        try:
            return values[number]
        except (IndexError, KeyError):
            raise Violation("unknown_value") from None

    def end(self):
        if self.left:
            raise Violation("trailing_bytes")


def decode(decoders, kind, payload):
    """Understands a frame with the decoder of its kind."""
    if kind not in decoders:
        if kind >= 0x80:
            return {"kind": "skipped"}
        raise Violation("unknown_kind")
    reader = Reader(payload)
    meaning = decoders[kind](reader)
    reader.end()
    return meaning


# ---- the client protocol ----


def _resume(resume):
    if resume is None:
        return b"\x00"
    return b"\x01" + resume["session"] + varint(resume["sequence"]) + varint(resume["broadcast"])


def encode_from_client(f):
    if f["kind"] == "hello":
        return frame(
            0x01,
            bytes([1]),
            varint(f["heartbeat"]),
            text(f["product"]),
            text(f["user"]),
            text(f["device"]),
            lengthy(f["token"]),
            _resume(f["resume"]),
            bytes([len(f["tags"])]),
            *map(text, f["tags"]),
        )
    if f["kind"] == "ack":
        return frame(0x03, varint(f["sequence"]))
    return frame({"ping": 0x02, "bye": 0x04}[f["kind"]])


def _client_welcome(r):
    return {
        "kind": "welcome",
        "session": r.take(16),
        "heartbeat": r.varint(1, 3600),
        "server_time": r.varint(),
        "next_sequence": r.varint(1, SEQUENCE_MAX),
        "resumed": r.flag(),
        "body_max": r.varint(0, BODY_BYTES_CEILING),
    }


def _client_push(r):
    flags = r.byte()
    if flags > 7:
        raise Violation("unknown_value")
    push = {
        "kind": "push",
        "class": CLASSES[flags & 1],
        "broadcast": bool(flags & 2),
        "redelivered": bool(flags & 4),
        "sequence": r.varint(1, SEQUENCE_MAX),
        "body": r.take(len(r.left)),
    }
    if not push["body"]:
        raise Violation("out_of_bounds")
    return push


def _notice(r):
    sort = r.one_of({1: "kick", 2: "redirect", 3: "drain"}, r.byte())
    if sort == "kick":
        return {"kind": "notice", "notice": sort, "code": r.varint(0, U16), "reason": r.text()}
    notice = {"kind": "notice", "notice": sort, "delay": r.varint(0, U32)}
    if sort == "redirect":
        count = r.byte()
        if not 1 <= count <= 8:
            raise Violation("out_of_bounds")
        notice["addresses"] = [r.text(1) for _ in range(count)]
    return notice


def _close(r):
    return {"kind": "close", "code": r.varint(0, U16), "reason": r.text()}


TO_CLIENT = {
    0x41: _client_welcome,
    0x42: lambda r: {"kind": "pong"},
    0x43: _client_push,
    0x44: _notice,
    0x45: _close,
}


def decode_to_client(kind, payload):
    return decode(TO_CLIENT, kind, payload)


# ---- the backend API ----

JOB_ACTIONS = {"status": 0x12, "pause": 0x13, "resume": 0x14, "cancel": 0x15}


def _target(t):
    flags = CLASSES.index(t["class"]) | t["same_body"] << 1 | t["receipt"] << 2
    body = b"" if t["same_body"] else lengthy(t["body"])
    fields = [text(t["user"]), varint(t["time_to_live"]), lengthy(t["key"]), body]
    return bytes([flags]) + b"".join(fields)


def encode_request(f):
    kind = f["kind"]
    if kind == "hello":
        return frame(0x01, bytes([1]), text(f["name"]), lengthy(f["key"]))
    if kind == "ping":
        return frame(0x02)
    fields = [varint(f["id"])]
    if kind in JOB_ACTIONS:
        return frame(JOB_ACTIONS[kind], *fields, varint(f["job"]))
    if kind == "counters":
        return frame(0x18, *fields)
    fields.append(text(f["product"]))
    if kind == "push":
        return frame(0x10, *fields, varint(len(f["targets"])), *map(_target, f["targets"]))
    if kind == "broadcast":
        numbers = ["time_to_live", "users_per_second", "bits_per_second"]
        fields += [text(f["tag"]), bytes([CLASSES.index(f["class"])])]
        fields += [varint(f[number]) for number in numbers]
        return frame(0x11, *fields, lengthy(f["key"]), lengthy(f["body"]))
    if kind == "online":
        return frame(0x16, *fields, varint(len(f["users"])), *map(text, f["users"]))
    if kind == "kick":
        return frame(0x17, *fields, text(f["user"]), text(f["reason"]))
    if kind == "mailbox":
        return frame(0x19, *fields, text(f["user"]), bytes([MAILBOX_ACTIONS.index(f["action"])]))
    raise ValueError(kind)


def _backend_welcome(r):
    if r.byte() != 1:
        raise Violation("unsupported_version")
    return {
        "kind": "welcome",
        "version": 1,
        "window": r.varint(0, U32),
        "body_max": r.varint(0, BODY_BYTES_CEILING),
        "host": r.varint(0, U16),
        "incarnation": r.varint(0, U32),
    }


def _error(r):
    return {
        "kind": "error",
        "id": r.varint(),
        "code": r.varint(0, U16),
        "retry_after": r.varint(0, U32),
        "text": r.text(),
    }


def _outcome(r):
    outcome = r.one_of(OUTCOMES, r.byte())
    if outcome in ("delivered", "stored", "acked"):
        return {"outcome": outcome, "sequence": r.varint()}
    if outcome == "rejected":
        return {"outcome": outcome, "reason": r.one_of(REJECTIONS, r.byte())}
    if outcome == "busy":
        return {"outcome": outcome, "milliseconds": r.varint(0, U32)}
    if outcome == "dropped":
        return {"outcome": outcome, "reason": r.one_of(DROPS, r.byte())}
    return {"outcome": outcome}


def _outcomes(r):
    answer = {"kind": "push_outcomes", "id": r.varint()}
    answer["outcomes"] = [_outcome(r) for _ in range(r.varint(0, 4096))]
    return answer


def _job(r):
    return {
        "kind": "job",
        "id": r.varint(),
        "job": r.varint(),
        "state": r.one_of(JOB_STATES, r.varint()),
        "sequence": r.varint(),
        "total": r.varint(),
        "delivered": r.varint(),
        "dropped": r.varint(),
    }


def _counts(r):
    answer = {"kind": "online_counts", "id": r.varint()}
    answer["counts"] = [r.varint(0, U32) for _ in range(r.varint(0, 4096))]
    return answer


def _counters(r):
    answer = {"kind": "counters", "id": r.varint()}
    count = r.varint(0, 1024)
    answer["counters"] = [{"name": r.text(1, 128), "value": r.varint()} for _ in range(count)]
    return answer


def _mailbox(r):
    mailbox = {
        "kind": "mailbox",
        "id": r.varint(),
        "messages": r.varint(0, U32),
        "bytes": r.varint(),
        "first": r.varint(),
        "last": r.varint(),
        "acked": r.varint(),
        "deliveries": r.varint(0, U32),
    }
    flags = r.byte()
    if flags > 3:
        raise Violation("unknown_value")
    mailbox |= {"quarantined": bool(flags & 1), "online": bool(flags & 2)}
    return mailbox | {"sessions": r.varint(0, U32)}


def _receipt(r):
    receipt = {
        "kind": "receipt",
        "product": r.text(1, 32),
        "user": r.text(1, 64),
        "sequence": r.varint(),
        "result": _outcome(r),
    }
    if receipt["result"]["outcome"] not in ENDS:
        raise Violation("unknown_value")
    if receipt["result"].get("sequence", receipt["sequence"]) != receipt["sequence"]:
        raise Violation("out_of_bounds")
    return receipt


TO_BACKEND = {
    0x41: _backend_welcome,
    0x42: lambda r: {"kind": "pong"},
    0x44: lambda r: {"kind": "drain", "delay": r.varint(0, U32)},
    0x45: _close,
    0x46: _error,
    0x50: _outcomes,
    0x51: _job,
    0x56: _counts,
    0x57: lambda r: {"kind": "kick_count", "id": r.varint(), "sessions": r.varint(0, U32)},
    0x58: _counters,
    0x59: _mailbox,
    0x5A: _receipt,
}


def decode_to_backend(kind, payload):
    return decode(TO_BACKEND, kind, payload)
