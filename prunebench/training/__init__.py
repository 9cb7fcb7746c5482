"""Train a model under a mask, and predict with it.

The loop reads from top to bottom; what makes it fast is in `acceleration`.

Modules in reading order:

- `loop`: the training loop
- `batching`: texts to token ids, token ids to batches, and batches to parts of similar length
- `acceleration`: the parts that make a training fast, or none of them
- `resume`: the state in the middle of a training as a file
- `evaluation`: predict a split
"""
