"""Imports all that a worker needs for its first training. Worker processes are copies of one that has done so."""

from __future__ import annotations

from prunebench.runtime.memory import without_collection

with without_collection():
    import transformers.models.bert.modeling_bert

    import prunebench.execution.worker

__all__ = ["prunebench", "transformers"]
