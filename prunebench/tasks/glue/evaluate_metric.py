"""The GLUE metric as an `evaluate.Metric` that needs no network and writes no file.

`evaluate.load("glue", …)` would download a script. This class has the same configurations and keys, and takes the
formulas from `metrics`. Importing it takes a second, because it imports `evaluate`.
"""

from __future__ import annotations

from typing import Any

import datasets
import evaluate

from prunebench.tasks.glue.metrics import scores
from prunebench.tasks.metrics import fill_undefined

_CITATION = "Wang et al. 2019, GLUE: A Multi-Task Benchmark and Analysis Platform for Natural Language Understanding"
_INPUTS = """
Args:
    predictions: class indices, or scores for "stsb"
    references: the true labels, in the same form
Returns: a float for each key of the configuration, not rounded; 0.0 if the formula is undefined
"""


class GlueMetric(evaluate.Metric):  # type: ignore[misc]  # `evaluate` has no types
    """The GLUE metric of one configuration (see `metrics.GLUE_KEYS`).

    Predictions and references stay in memory, without files or locks, so any number of processes can compute at the
    same time.
    """

    def __init__(self, config_name: str) -> None:
        super().__init__(config_name=config_name, keep_in_memory=True)

    def _build_data_dir(self) -> str:
        # The base class would create a folder in the user's cache, although nothing is ever written to it.
        return str(self._data_dir_root)

    def _info(self) -> Any:
        # Predictions are float64, not int64 or float32: a NaN must be accepted, and correlations need full precision.
        # For the same reason this does not set `format="numpy"`, which casts to float32.
        references = datasets.Value("float64" if self.config_name == "stsb" else "int64")
        return evaluate.MetricInfo(
            description="The metrics of the GLUE benchmark, computed without a network.",
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": datasets.Value("float64"), "references": references}),
        )

    def _compute(self, *, predictions: Any = None, references: Any = None, **_: Any) -> dict[str, float]:
        return fill_undefined(scores(self.config_name, predictions, references))
