"""Parts of a model that make it faster to train and to evaluate, above all on a CPU.

`training.acceleration` combines them for a training; nothing else needs to know that they exist. The figures behind
them are in `tests/bench/README.md`.

Modules in reading order:

- `device`: move a model to a device, with the fastest attention and dropout there
- `attention`: attention for a CPU, in the dtype of its products
- `dropout`: dropout for a CPU, with a faster random generator
- `first_token`: compute the end of the last layer for the first token only
- `embedding_subset`: train only the rows of the word embeddings that occur in the data
"""
