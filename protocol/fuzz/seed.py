#!/usr/bin/env python3
"""Writes the golden vectors as seeds of the fuzz targets, one file a vector, into corpus/."""

import json
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
TARGETS = {
    "from_client": "client_to_gateway",
    "from_server": "gateway_to_client",
    "request": "backend_to_gateway",
    "answer": "gateway_to_backend",
}


def unhex(text):
    return bytes.fromhex(
        re.sub(r"\{(..)\*(\d+)\}", lambda run: run[1] * int(run[2]), text)
    )


for target, direction in TARGETS.items():
    vectors = json.loads((HERE.parent / "vectors" / f"{direction}.json").read_text())
    seeds = [unhex(vector["hex"]) for key in ("frames", "invalid") for vector in vectors[key]]
    # Long bodies teach a fuzzer nothing and slow it down.
    seeds = [seed for seed in seeds if len(seed) <= 4096]
    # One whole conversation: welcome or hello first.
    seeds.append(b"".join(unhex(v["hex"]) for v in vectors["frames"] if len(unhex(v["hex"])) < 400))
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (folder / f"seed-{number:03}").write_bytes(seed)
    print(f"{target}: {len(seeds)} seeds")
