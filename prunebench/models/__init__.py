"""Pre-trained encoders: find a checkpoint, load it under a task head, name its prunable matrices.

`fast` holds the parts of a model that make it faster to train and to evaluate.

Modules in reading order:

- `architecture`: a family of encoders as data, and `families`, the built-in ones
- `checkpoint`: a pre-trained encoder that a plugin ships
- `sources`: from the text of `--model` to a folder of files, its digest and its family
- `loading`: the same with the families and checkpoints of a registry
- `cards`: what the training of known models may have seen
- `encoder`: load a checkpoint, and describe its layers
- `validation`: refuse checkpoints that are damaged or incomplete
- `initialisation`: draw parameters from a seed, and permute layers
- `layer_skips`: layers that pass their input on
- `fast`: attention, dropout, first token and embedding subset
- `plugin`: the hook that registers the built-in families
"""
