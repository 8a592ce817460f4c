"""Which children the product consists of, from the environment."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from voiceplatform.env import BASE_DIR, Env
from voiceplatform.launcher import preflight, probes
from voiceplatform.launcher.children import ChildSpec

PRESET = "hifi"


@dataclass(frozen=True)
class LaunchPlan:
    """Addresses and children of one launch. ``inference`` is None where INFERENCE_URLS names servers elsewhere."""

    url: str
    inference_url: str
    inference: ChildSpec | None
    worker: ChildSpec
    web: ChildSpec


def make_plan(env: Env) -> LaunchPlan:
    """The children for ``env``, whose addresses and folders have been checked."""
    own_inference = not os.environ.get("INFERENCE_URLS")
    if own_inference:
        inference_url = f"unix://{preflight.socket_path(env.var_dir / 'run')}"
    else:
        inference_url = env.inference_urls[0]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(env.host, env.host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{env.port}/"
    logs = env.var_dir / "log"
    shared = {
        "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "voiceplatform.settings.dev"),
        "INFERENCE_URLS": inference_url if own_inference else ",".join(env.inference_urls),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": os.environ.get("PYTHONDONTWRITEBYTECODE", ""),
    }

    def child(
        name: str,
        label: str,
        *arguments: str,
        ready: Callable[[], bool],
        grace_s: float,
        relied_upon: bool = False,
        served_s: float = ChildSpec.served_s,
    ) -> ChildSpec:
        command, log = [sys.executable, "-m", *arguments], logs / f"{name}.log"
        return ChildSpec(name, label, command, BASE_DIR, log, ready, shared, grace_s, relied_upon, served_s)

    inference = child(
        "inference",
        "inference server",
        *("ml", "serve", "--listen", inference_url, "--preset", PRESET, "--slots", str(env.slots)),
        *("--weights", str(env.weights_dir), "--device", env.device),
        *("--promoted", str(env.var_dir / "models" / "production")),
        ready=lambda: probes.inference_stats(inference_url) is not None,
        grace_s=8.0,
        relied_upon=True,
    )
    worker = child(
        "worker",
        "job worker",
        *(
            "celery",
            "-A",
            "voiceplatform",
            "worker",
            "--beat",
            "--schedule",
            str(env.var_dir / "celery" / "beat-schedule"),
        ),
        # Threads: a job is a process of its own and its supervisor only waits, so that a training of hours must not
        # hold the one slot that the reaper and the heartbeats need.
        *("--queues", ",".join(env.queues), "--pool", "threads", "--concurrency", "8", "--loglevel", "WARNING"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ready=lambda: True,
        grace_s=10.0,
        served_s=60.0,  # nothing tells when it is ready, so that only its age tells a crash loop
    )
    web = child(
        "web",
        "web server",
        *("voiceplatform.web", "--host", env.host, "--port", str(env.port)),
        ready=lambda: probes.page_answers(f"{url}readyz") and probes.page_answers(url, 10.0),
        grace_s=10.0,
    )
    return LaunchPlan(url, inference_url, inference if own_inference else None, worker, web)


def status_file(var_dir: Path) -> Path:
    """Where a running launcher tells other programs its address and its children's process ids (JSON)."""
    return var_dir / "run" / "launch.json"
