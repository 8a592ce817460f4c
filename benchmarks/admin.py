"""``python -m benchmarks.admin``: how long the operators' list pages take over 100,000 turns.

Makes a database of its own on the server that ``DATABASE_URL`` names (without one: a private Postgres of the tests),
fills it, asks for each page some times as an operator, and removes it again. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from typing import Any

REPEATS = 7
PAGES: dict[str, tuple[str, dict[str, str]]] = {
    "turns": ("admin:voice_turn_changelist", {}),
    "turns, page 100": ("admin:voice_turn_changelist", {"p": "100"}),
    "turns, marked good": ("admin:voice_turn_changelist", {"mark": "good"}),
    "turns, above 800 ms": ("admin:voice_turn_changelist", {"latency": "late"}),
    "turns of a user": ("admin:voice_turn_changelist", {"q": "bench-17"}),
    "sessions": ("admin:voice_voicesession_changelist", {}),
    "sessions, above 800 ms": ("admin:voice_voicesession_changelist", {"latency": "late"}),
    "sessions with errors": ("admin:voice_voicesession_changelist", {"fault": "any"}),
    "home": ("admin:index", {}),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.admin", description=__doc__)
    parser.add_argument("--turns", type=int, default=100_000)
    parser.add_argument("--sessions", type=int, default=5_000)
    options = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "voiceplatform.settings.test"
    if "DATABASE_URL" not in os.environ:
        from tests.support.servers import plan

        plan().postgres.start()
    import django

    django.setup()
    from django.db import connection
    from django.test.utils import setup_test_environment

    setup_test_environment()
    old_name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0)
    try:
        print(json.dumps(_measure(options.turns, options.sessions), indent=2))
    finally:
        connection.creation.destroy_test_db(old_name, verbosity=0)
    return 0


def _measure(turns: int, sessions: int) -> dict[str, Any]:
    from django.contrib.auth.models import Group, User
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.urls import reverse

    from benchmarks.rows import make_rows

    begin = time.perf_counter()
    make_rows(turns=turns, sessions=sessions)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    made_s = time.perf_counter() - begin
    operator = User.objects.create_user("operator")
    operator.groups.add(Group.objects.get(name="Operator"))
    client = Client()
    client.force_login(operator)
    pages = {}
    for name, (page, query) in PAGES.items():
        address = reverse(page)
        client.get(address, query)  # templates and connections are warm in a process that serves
        took, computed = [], []
        for _ in range(REPEATS):
            with CaptureQueriesContext(connection) as queries:
                start, start_cpu = time.perf_counter(), time.process_time()
                assert client.get(address, query).status_code == 200
                took.append((time.perf_counter() - start) * 1000)
                computed.append((time.process_time() - start_cpu) * 1000)
        database = sum(float(one["time"]) for one in queries) * 1000
        pages[name] = {
            "median_ms": round(statistics.median(took), 1),
            "max_ms": round(max(took), 1),
            "cpu_ms": round(statistics.median(computed), 1),
            "queries": len(queries),
            "database_ms": round(database, 1),
        }
    return {
        "turns": turns,
        "sessions": sessions,
        "database": connection.vendor,
        "rows_made_s": round(made_s, 1),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "pages": pages,
    }


if __name__ == "__main__":
    sys.exit(main())
