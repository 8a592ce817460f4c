"""The supervisor: takes a queued job, runs or adopts its process, keeps the row true, ends it in order.

The process goes on whatever happens here; the row goes on whatever happens to the database: every write is tried again
with backoff until the database is back, and a lease that was lost meanwhile makes the supervisor let go.
"""

from __future__ import annotations

import json
import logging
import shutil
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from django.db import InterfaceError, OperationalError, connections
from django.utils.translation import gettext as _

from apps.training import kinds, services
from apps.training.models import Job
from apps.training.paths import run_folder
from apps.training.services import Progress
from apps.training.supervisor import failures
from apps.training.supervisor.outcome import artefacts_of, succeed
from apps.training.supervisor.process import Ending, RunProcess, forget_ending, read_ending
from apps.training.supervisor.progress import ProgressReader
from apps.training.supervisor.usage import UsageMeter
from apps.voice.errors import ServiceError

logger = logging.getLogger(__name__)

TICK_S = 0.5
REPORT_S = 3.0
SHUTDOWN_GRACE_S = 7.0
MIN_FREE_BYTES = 300 << 20
BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 4.0)
T = TypeVar("T")

worker_stops = threading.Event()
"""Set when this worker is asked to stop: runs write a checkpoint and wait for the next worker."""


class LetGo(Exception):
    """The job belongs to somebody else now, or the worker has to go while the database is away."""


def supervise(job_id: UUID) -> None:
    """Take the job and see it through. Returns at once when it is not to be had (the reaper looks again)."""
    try:
        job = patiently(lambda: services.job_claim(job_id=job_id))
        if job is not None:
            Supervision(job).run()
    except LetGo:
        logger.info("job %s: let go", job_id)


def patiently(write: Callable[[], T]) -> T:
    """Do something with the database, again and again while it is away. Raises LetGo when the worker has to stop."""
    tries = 0
    while True:
        try:
            return write()
        except (OperationalError, InterfaceError) as error:
            if worker_stops.is_set() and tries > 2:
                raise LetGo from None
            logger.warning("the database is away (%s); trying again", str(error).strip().partition("\n")[0])
            for connection in connections.all(initialized_only=True):
                connection.close()
            worker_stops.wait(BACKOFF_S[min(tries, len(BACKOFF_S) - 1)])
            tries += 1


class Supervision:
    """One hold of one job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.id: UUID = job.pk
        self.token = job.supervisor
        self.folder = run_folder(job.pk)
        self.reader = ProgressReader(self.folder / "progress.jsonl")
        self.usage: dict[str, Any] = {}
        self.cancel = job.cancel_requested

    def run(self) -> None:
        """From the claim to the end."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            command = patiently(lambda: kinds.command_of(self.job))
        except ServiceError as fault:
            # a process that lives on must not be left alone because of what its successor would lack
            found = RunProcess.find(self.folder)
            if found is None:
                return self._end(Job.Status.FAILED, fault.message, fault.hint)
            found.signal(signal.SIGTERM)
            return self._watch(found)
        except OSError as error:
            return self._end(Job.Status.FAILED, *failures.words_for_os(error))
        self.reader = ProgressReader(command.progress, command.total)
        self.reader.read()
        found = RunProcess.find(self.folder)
        if found is not None:
            self._held(services.job_running(job_id=self.id, supervisor=self.token, pid=found.pid, fresh=False))
            return self._watch(found)
        if (ending := read_ending(self.folder, self.job.attempt)) is not None and not (ending.asked or _killed(ending)):
            return self._conclude(ending)  # it ended while nobody looked
        forget_ending(self.folder)
        if self.cancel:
            return self._end(Job.Status.CANCELLED, self._where(_("cancelled")))
        if shutil.disk_usage(self.folder).free < MIN_FREE_BYTES:
            return self._end(Job.Status.FAILED, _("the disk is full"), _("free some space, then resume it"))
        try:
            process = RunProcess.start(self.folder, self.job.attempt + 1, command.arguments)
        except OSError as error:
            return self._end(Job.Status.FAILED, f"{command.arguments[0]}: {error}", _("run: make setup"))
        self._held(
            patiently(lambda: services.job_running(job_id=self.id, supervisor=self.token, pid=process.pid, fresh=True))
        )
        self._watch(process)

    # -- while it runs -------------------------------------------------------------------------------------

    def _watch(self, process: RunProcess) -> None:
        meter = UsageMeter(process.pid, self.job.device)
        report_at, told_at, killed = 0.0, 0.0, False
        tries, next_try = 0, 0.0
        while process.alive():
            now = time.monotonic()
            stopping = self.cancel or worker_stops.is_set()
            if stopping and not told_at:
                process.signal(signal.SIGTERM)
                told_at = now
            if self.cancel and told_at and now - told_at > kinds.GRACE_S and not killed:
                process.signal(signal.SIGKILL)
                killed = True
            if worker_stops.is_set() and now - told_at > SHUTDOWN_GRACE_S:
                break
            fresh = self.reader.read()
            if now >= next_try and (now >= report_at or (fresh and now >= report_at - REPORT_S + 1.0)):
                self.usage = meter.look() or self.usage
                try:
                    self._report()
                    report_at, tries = now + REPORT_S, 0
                except (OperationalError, InterfaceError) as error:
                    logger.warning("job %s: the database is away (%s)", self.id, str(error).strip().partition("\n")[0])
                    for connection in connections.all(initialized_only=True):
                        connection.close()
                    next_try = now + BACKOFF_S[min(tries, len(BACKOFF_S) - 1)]
                    tries += 1
            time.sleep(TICK_S)
        self.reader.read()
        if process.alive():  # the worker has to go; the process has been told, and ends by itself
            reason = str(_("interrupted: its worker was stopped"))
            self._held(patiently(lambda: self._interrupt(services.job_shelve, reason)))
            return
        self._conclude(process.ending())

    def _report(self) -> None:
        job = self._held(services.job_report(job_id=self.id, supervisor=self.token, progress=self._progress()))
        self.cancel = self.cancel or job.cancel_requested

    def _progress(self) -> Progress:
        reader = self.reader
        return Progress(reader.step, reader.total, reader.eta_seconds(), reader.stage, dict(reader.metrics), self.usage)

    def _interrupt(self, how: Callable[..., Job | None], reason: str) -> Job | None:
        return how(job_id=self.id, supervisor=self.token, reason=reason, progress=self._progress())

    # -- the end -------------------------------------------------------------------------------------------

    def _conclude(self, ending: Ending) -> None:
        if ending.status == 0 and self._is_complete(ending):
            return self._succeed()
        if self.cancel or patiently(self._cancel_requested):
            return self._end(Job.Status.CANCELLED, self._where(_("cancelled")), _("resume it to go on from there"))
        if ending.asked or ending.status == 0 or _killed(ending):
            reason = str(_("interrupted: its worker was stopped"))
            how = services.job_shelve if worker_stops.is_set() else services.job_interrupt
            if not ending.asked:
                words, _advice = failures.words_for(ending.status, self.folder / "log.txt")
                reason = words if ending.status else str(_("it ended before its time"))
                how = services.job_interrupt
            self._held(patiently(lambda: self._interrupt(how, reason)))
            return forget_ending(self.folder)
        self._end(Job.Status.FAILED, *failures.words_for(ending.status, self.folder / "log.txt"))

    def _is_complete(self, ending: Ending) -> bool:
        if self.job.is_training and self.reader.total:  # asked to stop in its last moment, it is complete all the same
            return self.reader.step >= self.reader.total
        return not ending.asked

    def _cancel_requested(self) -> bool:
        return Job.objects.filter(pk=self.id, cancel_requested=True).exists()

    def _succeed(self) -> None:
        result = self.reader.result or _last_json(self.folder)
        try:
            patiently(lambda: succeed(self.job, result))
        except ServiceError as fault:
            return self._end(Job.Status.FAILED, fault.message, fault.hint)
        except OSError as error:
            return self._end(Job.Status.FAILED, *failures.words_for_os(error))
        self._end(Job.Status.SUCCEEDED, result=result)

    def _end(self, status: str, message: str = "", advice: str = "", *, result: dict[str, Any] | None = None) -> None:
        def write() -> Job | None:
            return services.job_end(
                job_id=self.id,
                supervisor=self.token,
                status=status,
                message=str(message),
                advice=str(advice),
                progress=self._progress(),
                result=result,
                artefacts=artefacts_of(self.folder),
            )

        self._held(patiently(write))
        if status != Job.Status.SUCCEEDED:
            patiently(lambda: services.job_fell_through(job=self.job, message=str(message)))
        forget_ending(self.folder)

    def _where(self, what: str) -> str:
        if not self.reader.total:
            return str(what)
        return _("%(what)s at step %(step)d of %(total)d") % {
            "what": what,
            "step": self.reader.step,
            "total": self.reader.total,
        }

    def _held(self, job: Job | None) -> Job:
        if job is None:
            raise LetGo
        return job


def _killed(ending: Ending) -> bool:
    return ending.status is None or ending.status in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)


def _last_json(folder: Any) -> dict[str, Any]:
    """What a command printed as its last line, when that is a JSON object."""
    for line in reversed(failures.tail(folder / "log.txt", 5)):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return {}
