"""What is not well, in words, with what to do about it. Bounds stand here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from apps.console.wellness import Disk, Latency, Server

P50_TARGET_MS = 300
P95_TARGET_MS = 400
LATE_SHARE_MAX = 0.01
HEARTBEAT_MAX_S = 120
DISK_FREE_SHARE_MIN = 0.1
FAULTS_MIN = 3


@dataclass(frozen=True, slots=True)
class Alert:
    """``level`` is bad (people feel it now) or warn (they soon will)."""

    level: str
    what: str
    do: str


def alerts(
    *,
    servers: Sequence[Server],
    disk: Disk,
    latency: Latency,
    sessions: Mapping[str, int],
    heartbeats: Mapping[str, float],
    queues: Sequence[str],
    failed_jobs: int,
) -> list[Alert]:
    """The worst first."""
    found = [
        *_of_servers(servers),
        *_of_latency(latency),
        *_of_workers(heartbeats, queues),
        *_of_disk(disk),
    ]
    if sessions.get("faults", 0) >= FAULTS_MIN:
        words = _("%(n)d sessions of the last hour were cut by an error.") % {"n": sessions["faults"]}
        found.append(Alert("warn", words, _("Filter the sessions by error to see which.")))
    if failed_jobs:
        words = _("%(n)d training jobs failed within the last day.") % {"n": failed_jobs}
        found.append(Alert("warn", words, _("Each job's page says why and what to do.")))
    return sorted(found, key=lambda alert: alert.level != "bad")


def _of_servers(servers: Sequence[Server]) -> list[Alert]:
    found = []
    if not any(not server.problem for server in servers):
        words = _("No inference server answers: nobody can talk.")
        found.append(Alert("bad", words, _("Start one (python -m ml serve) and look at its log.")))
    else:
        for server in servers:
            if server.problem:
                words = _("The inference server %(address)s does not serve: %(problem)s.")
                text = words % {"address": server.address, "problem": server.problem}
                found.append(Alert("warn", text, _("The others carry its load; restart it.")))
        if not any(server.free for server in servers):
            words = _("Every slot is taken: who comes now is told that it is busy.")
            found.append(Alert("bad", words, _("Add an inference server to INFERENCE_URLS, or raise VOICE_SLOTS.")))
    for server in servers:
        if server.late_share > LATE_SHARE_MAX:
            words = _("%(share)s of the ticks of %(address)s came late: voices stutter.")
            text = words % {"share": f"{server.late_share:.1%}", "address": server.address}
            found.append(Alert("bad", text, _("Lower VOICE_SLOTS there, or give it more cores.")))
    return found


def _of_latency(latency: Latency) -> list[Alert]:
    if latency.p95 is not None and latency.p95 > P95_TARGET_MS:
        words = _("One answer in twenty came later than %(ms)d ms; the target is %(target)d ms.")
        text = words % {"ms": latency.p95, "target": P95_TARGET_MS}
        return [Alert("warn", text, _("The breakdown of slow turns says which stage takes the time."))]
    return []


def _of_workers(heartbeats: Mapping[str, float], queues: Sequence[str]) -> list[Alert]:
    found = []
    for queue in queues:
        age = heartbeats.get(queue)
        if age is None or age > HEARTBEAT_MAX_S:
            words = _("No worker takes jobs from the queue “%(queue)s”.") % {"queue": queue}
            do = _("Restart it: celery -A voiceplatform worker -Q %(queue)s; is beat running?") % {"queue": queue}
            found.append(Alert("warn", words, do))
    return found


def _of_disk(disk: Disk) -> list[Alert]:
    if disk.total_gb and disk.free_gb / disk.total_gb < DISK_FREE_SHARE_MIN:
        words = _("The disk is almost full: %(free)s GB are free.") % {"free": f"{disk.free_gb:.1f}"}
        return [Alert("bad", words, _("Delete turns or datasets that nobody needs, or add room."))]
    return []
