"""A job as JSON: what a worker in any process needs for it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, JsonValue

from prunebench.store.schema import Experiment, Location, Strict, WeightsRef


class NodeSpec(Strict):
    """A node of a plan as JSON.

    `code` is a digest of its strategy's source, `moves` whether that moves weights, and `inputs` are the keys of the
    nodes that its phase reads.
    """

    key: str
    phase: dict[str, JsonValue]
    strategy: str
    code: str
    moves: bool
    parent: str = ""
    inputs: list[str] = Field(default_factory=list)


class PluginFile(Strict):
    """The path and the text of a plugin file, and the names and texts of the files beside it that it imports."""

    path: str
    text: str
    siblings: Annotated[tuple[Annotated[tuple[str, str], Field(strict=False)], ...], Field(strict=False)] = ()


class JobSpec(Strict):
    """All that a worker needs for one job.

    `path` leads from θ0 to the anchor, `tree` follows it; `scored` are the keys of nodes that are scored. The store
    has the weights that the job `reads`. It keeps those `weights` that other jobs read, and those `models` that the
    user asked for. `plan` is the commitment of the plan, which records name.
    """

    experiment: Experiment
    where: Location
    path: list[NodeSpec]
    tree: list[NodeSpec]
    anchor: str
    resumes: bool = False
    scored: list[str] = Field(default_factory=list)
    reads: list[WeightsRef] = Field(default_factory=list)
    weights: list[WeightsRef] = Field(default_factory=list)
    models: list[str] = Field(default_factory=list)
    plugins: list[PluginFile] = Field(default_factory=list)
    checkpoint_minutes: float | None = None
    strategy_timeout: float | None = None
    job_minutes: float | None = None
    plan: str = ""
