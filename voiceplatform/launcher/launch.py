"""The whole launch: check, prepare the database, start, wait, tell, watch, stop."""

import io
import json
import os
import signal
import time
from types import FrameType
from typing import Any

from django.core.management import call_command

from voiceplatform.env import Env
from voiceplatform.launcher import account, preflight, probes
from voiceplatform.launcher.console import Reporter
from voiceplatform.launcher.plan import LaunchPlan, make_plan, status_file
from voiceplatform.launcher.supervisor import CONFIGURATION_ERROR, LaunchError, Supervisor

INFERENCE_DEADLINE_S = 180.0
WEB_DEADLINE_S = 60.0


def launch(env: Env, reporter: Reporter) -> None:
    """Bring everything up and keep it up until Ctrl-C or SIGTERM, then take it down.

    Raises:
        LaunchError: it cannot be started; nothing of it is left running.
    """
    began = time.monotonic()
    preflight.check_port(env.host, env.port)
    with preflight.only_one(env.var_dir / "run"):
        plan = make_plan(env)
        if plan.inference:
            preflight.check_weights(env.weights_dir)
        supervisor = Supervisor(reporter.event)
        supervisor.changed = lambda: _tell(env, plan, supervisor)
        previous = _handle_signals(supervisor)
        try:
            _start(plan, supervisor, reporter)
            reporter.done(f"ready in {time.monotonic() - began:.1f} s")
            reporter.address(plan.url)
            supervisor.watch()
        except KeyboardInterrupt:
            reporter.event("stopping")
        except LaunchError:
            for child in supervisor.children.values():
                if (child.exit_status or 0) > 0 and child.exit_status != CONFIGURATION_ERROR:
                    reporter.quote(child.tail(12))
            raise
        finally:
            supervisor.stop()
            status_file(env.var_dir).unlink(missing_ok=True)
            for number, handler in previous.items():
                signal.signal(number, handler)
        reporter.done("stopped")


def _start(plan: LaunchPlan, supervisor: Supervisor, reporter: Reporter) -> None:
    # torch takes seconds to load: the inference server starts first and the database is prepared meanwhile
    inference = supervisor.start(plan.inference) if plan.inference else None
    call_command("migrate", interactive=False, verbosity=0)
    call_command("seed", verbosity=0, stdout=io.StringIO())
    password = account.ensure_operator()
    reporter.done("database ready")
    if password:
        reporter.account(account.OPERATOR, password)
    supervisor.start(plan.worker)
    web = supervisor.start(plan.web)
    if inference:
        seconds = supervisor.wait_ready(inference, INFERENCE_DEADLINE_S)
        stats = probes.inference_stats(plan.inference_url)
        slots = f", {stats.capacity} sessions at a time" if stats else ""
        reporter.done(f"inference server answers ({seconds:.1f} s{slots})")
    elif probes.inference_stats(plan.inference_url, 5.0) is None:
        raise LaunchError(f"no inference server answers at {plan.inference_url}; start it or unset INFERENCE_URLS")
    reporter.done(f"pages answer ({supervisor.wait_ready(web, WEB_DEADLINE_S):.1f} s)")


def _handle_signals(supervisor: Supervisor) -> dict[signal.Signals, Any]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def child_ended(number: int, frame: FrameType | None) -> None:
        supervisor.wake.set()

    handlers = {signal.SIGTERM: stop, signal.SIGHUP: stop, signal.SIGINT: stop, signal.SIGCHLD: child_ended}
    return {number: signal.signal(number, handler) for number, handler in handlers.items()}


def _tell(env: Env, plan: LaunchPlan, supervisor: Supervisor) -> None:
    """Write the status file: for `launch.json` readers such as tests and scripts, always whole."""
    pids = {name: child.pid for name, child in supervisor.children.items() if child.running}
    path = status_file(env.var_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    status = {"pid": os.getpid(), "url": plan.url, "inference_url": plan.inference_url, "children": pids}
    fresh.write_text(json.dumps(status))
    os.replace(fresh, path)
