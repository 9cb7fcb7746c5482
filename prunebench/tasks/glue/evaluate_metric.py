"""The GLUE metric as an `evaluate.Metric` that needs no network and writes no file. Imports `evaluate`: load it late.

`evaluate.load("glue", …)` downloads a script at run time; this class has the same configurations and keys. Imports
`metrics`, where the formulas are.
"""

from __future__ import annotations

from typing import Any

import datasets
import evaluate

from prunebench.tasks.glue.metrics import scores
from prunebench.tasks.metrics import filled

_CITATION = "Wang et al. 2019, GLUE: A Multi-Task Benchmark and Analysis Platform for Natural Language Understanding"
_INPUTS = """
Args:
    predictions: class indices, or scores for "stsb"
    references: the same for the true labels
Returns: the keys of the configuration, as floats that are not rounded; 0.0 where the formula is undefined
"""


class GlueMetric(evaluate.Metric):  # type: ignore[misc]  # `evaluate` has no types
    """GLUE's metric of one configuration (`metrics.GLUE_KEYS` lists them).

    Predictions and references stay in memory: nothing is locked or left on the disk, so any number of processes can
    compute at the same time.
    """

    def __init__(self, config_name: str) -> None:
        super().__init__(config_name=config_name, keep_in_memory=True)

    def _build_data_dir(self) -> str:
        # The base class makes a folder in the user's cache here even if it will never put a file there.
        return str(self._data_dir_root)

    def _info(self) -> Any:
        # Predictions are float64 so that a NaN is not refused as no integer, and no correlation is of rounded values.
        # For the same reason there is no `format="numpy"`: it casts to float32.
        references = datasets.Value("float64" if self.config_name == "stsb" else "int64")
        return evaluate.MetricInfo(
            description="The GLUE benchmark's metrics, computed without a network.",
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": datasets.Value("float64"), "references": references}),
        )

    def _compute(self, *, predictions: Any = None, references: Any = None, **_: Any) -> dict[str, float]:
        return filled(scores(self.config_name, predictions, references))
