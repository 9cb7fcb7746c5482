"""How many jobs run at a time, and with which share of cores and GPUs."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, replace

from prunebench.execution.executors.base import ExecutorSpec, Request
from prunebench.hooks.registry import Registry
from prunebench.models.loading import model_source
from prunebench.models.sources import weight_files
from prunebench.runtime import devices

DEFAULT_EXECUTOR = "processes"


@dataclass(frozen=True)
class Resources:
    """Where jobs run: an executor by name, jobs at a time (None: what fits), and the share of each job.

    `strategy_timeout` is the number of seconds that one call of a strategy may take, `job_minutes` the number of
    minutes that a whole job may take; None sets no limit.
    """

    executor: str | None = None
    jobs: int | None = None
    address: str = ""
    cpus_per_job: int | None = None
    gpus_per_job: float | None = None
    strategy_timeout: float | None = None
    job_minutes: float | None = None


def executor_spec(resources: Resources, registry: Registry) -> ExecutorSpec:
    """Raises PrunebenchError for an executor that does not exist."""
    spec: ExecutorSpec = registry.get("executors", resources.executor or DEFAULT_EXECUTOR)
    return spec


def request_for(resources: Resources, model: str, device: str, registry: Registry, jobs: int) -> Request:
    """What to ask of the executor for so many `jobs` with that model on that device."""
    spec = executor_spec(resources, registry)
    device = devices.resolve_device(device)
    if not spec.elsewhere:
        devices.check_device(device)
    gpus = 1.0 if resources.gpus_per_job is None and device == "cuda" else resources.gpus_per_job
    request = Request(resources.jobs or 0, resources.cpus_per_job, gpus, resources.address)
    capacity = request.jobs or (spec.capacity(request) if spec.capacity else _capacity_here(model, device, registry))
    if spec.name == DEFAULT_EXECUTOR and not request.cpus:
        # A share of the capacity, not of the jobs that are left: with another number of threads sums round
        # differently, and a run that goes on must give what it would have given without a break.
        request = replace(request, cpus=max(1, devices.cores() // capacity))
    return replace(request, jobs=max(1, min(capacity, jobs)))


def make_executor(resources: Resources, request: Request, registry: Registry) -> Executor:
    """The executor: by default worker processes, even for one job, because a run outlives a worker that dies."""
    return executor_spec(resources, registry).make(request)


def _capacity_here(model: str, device: str, registry: Registry) -> int:
    weights = sum(path.stat().st_size for path in weight_files(model_source(model, registry).folder))
    return devices.default_jobs(device, weights)
