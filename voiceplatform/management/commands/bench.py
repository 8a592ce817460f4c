"""``manage.py bench``: conversations in real time against the product as it is served.

``live`` measures them, ``browser`` does in Chromium, from rendered audio, ``kill`` kills the inference server in
mid-answer again and again, ``vanish`` has clients vanish.
"""

from __future__ import annotations

import asyncio
import json
import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Measure live conversations: real sockets, Telugu questions in real time, a fresh product of its own."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["live", "kill", "vanish", "browser"])
        parser.add_argument("--sessions", default="1", help="conversations at a time; by comma for a curve: 1,2,4,8")
        parser.add_argument("--minutes", type=float, default=1.0, help="length of each measurement")
        parser.add_argument("--times", type=int, default=20, help="kills, vanishing clients, questions in the browser")
        parser.add_argument("--tiny", action="store_true", help="tiny random models instead of the shipped ones")
        parser.add_argument("--json", action="store_true", dest="as_json", help="one JSON object on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        from benchmarks.browser import measure_browser
        from benchmarks.conversation import measure_talk
        from benchmarks.killed import measure_kills, measure_vanishing
        from benchmarks.product import running_product

        try:
            curve = [int(part) for part in str(options["sessions"]).split(",")]
        except ValueError:
            raise CommandError(f"--sessions {options['sessions']!r}: give numbers, such as 4 or 1,2,4") from None
        if min(curve) < 1 or options["minutes"] <= 0:
            raise CommandError("--sessions and --minutes must be above 0")
        os.environ["VOICE_SLOTS"] = str(max(8, *curve))
        if options["what"] == "browser":
            os.environ["VOICE_PAGE_DEBUG"] = "1"
        if options["tiny"]:
            os.environ["VOICE_TINY_TALK"] = "1"
        result: dict[str, Any] = {"load_average": [round(value, 2) for value in os.getloadavg()]}
        try:
            with running_product() as product:
                if options["what"] == "kill":
                    result["kill"] = asyncio.run(measure_kills(product, curve[0], options["times"]))
                elif options["what"] == "vanish":
                    result["vanish"] = asyncio.run(measure_vanishing(product, options["times"]))
                elif options["what"] == "browser":
                    result["browser"] = measure_browser(product, options["times"])
                for sessions in curve if options["what"] == "live" else []:
                    self.stderr.write(f"{sessions} at a time, {options['minutes']:g} min …")
                    result.setdefault("live", []).append(
                        asyncio.run(measure_talk(product, sessions, 60 * options["minutes"]))
                    )
        except (RuntimeError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(result, indent=None if options["as_json"] else 2))
