"""``make bench``: codec, inference server and live path on this machine; ends with one JSON object on standard output.

Figures of a machine that does other work at the same time are worth little; the load average is printed with them.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
from typing import Any

from benchmarks.live import measure
from benchmarks.pitch import measure_pitch
from benchmarks.product import ROOT, running_product
from benchmarks.rehearsal import rehearse
from benchmarks.stall import measure_stall
from benchmarks.training import measure_beside_training


def child(*arguments: str) -> Any:
    """The JSON that ``python -m ml ARGUMENTS --json`` prints on its last line."""
    command = [sys.executable, "-m", "ml", *arguments, "--json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def numbers(text: str) -> list[int]:
    """Of clients, all above 0."""
    found = [int(part) for part in text.split(",")]
    if min(found) < 1:
        raise ValueError
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the product on this machine.")
    kinds = ["codec", "serve", "live", "training", "pitch", "ticks", []]
    parser.add_argument("what", nargs="*", choices=kinds, help="codec, serve and live by default")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of one live measurement")
    parser.add_argument("--clients", default=[1, 2, 4, 8], type=numbers, help="at a time, by comma, such as 1,2,4,8")
    parser.add_argument("--db-stall-ms", type=int, default=200, help="database call that others hold (0: skip)")
    parser.add_argument("--conversations", action="store_true", help="beside a training: of conversations")
    options = parser.parse_args()
    what = options.what or ["codec", "serve", "live"]
    result: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }
    try:
        if "codec" in what:
            print("codec …", file=sys.stderr)
            result["codec"] = child("bench", "codec")
        if "serve" in what:
            print("inference server …", file=sys.stderr)
            result["serve"] = child("bench", "serve")
        if "live" in what:
            with running_product() as product:
                result["ready_s"] = round(product.ready_s, 2)
                result["live"] = []
                for clients in options.clients:
                    print(f"live path, {clients} at a time …", file=sys.stderr)
                    result["live"].append(asyncio.run(measure(product, clients, options.seconds)))
                if options.db_stall_ms:
                    print(f"live path, others hold a database call for {options.db_stall_ms} ms …", file=sys.stderr)
                    result["stall"] = measure_stall(product, 1, options.seconds, options.db_stall_ms)
                result["resident_mb"] = product.resident_mb()
        if "ticks" in what:
            result["ticks"] = []
            for clients in options.clients:
                print(f"the engine in virtual time, {clients} conversations …", file=sys.stderr)
                result["ticks"].append(rehearse(clients, options.seconds))
        if "pitch" in what:
            with running_product() as product:
                print("a speaker's pitch, by admin, REST and page …", file=sys.stderr)
                result["pitch"] = asyncio.run(measure_pitch(product))
        if "training" in what:
            with running_product() as product:
                result["beside_training"] = []
                for clients in options.clients:
                    print(f"live path beside a training, {clients} at a time …", file=sys.stderr)
                    measured = measure_beside_training(
                        product, clients, options.seconds, conversations=options.conversations
                    )
                    result["beside_training"].append(measured)
    except (subprocess.CalledProcessError, RuntimeError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
