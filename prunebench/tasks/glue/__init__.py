"""GLUE (Wang et al. 2019): nine tasks, read from three sources, and their metric.

- `layout`: the columns, labels and files of every task
- `definitions`: the tasks, and where their data is read from
- `hub`: read from the Hugging Face hub, its cache, or a `save_to_disk` copy
- `tsv`: read the official TSV files
- `test_splits`: the test splits, which have no labels
- `metrics`: the formulas of the metrics
- `evaluate_metric`: the same metrics as an `evaluate.Metric`
"""
