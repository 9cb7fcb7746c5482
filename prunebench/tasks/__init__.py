"""Tasks and metrics, as data: what a model is trained on, how it is trained, and how it is scored.

- `protocol`: the training settings of a task
- `task`: a task and its data
- `carving`: a part of the training split to compare settings on
- `metrics`: metrics by name, and the scores of the majority class
- `glue`: the nine tasks of GLUE and their metric
- `plugin`: registers them
"""
