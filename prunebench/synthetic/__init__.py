"""A small generated language with five tasks, and a small BERT pre-trained on it.

With it a complete benchmark runs in minutes and without downloads: it shows how prunebench works and whether a method
works at all. It is no substitute for GLUE.

Words come in pairs of synonyms. The training split of a task uses one half of the pairs and its dev split the other
half, so a model can solve dev only with what pre-training has taught it about words. Nothing generated is stored:
tasks and corpus are the same for the same seed, on every machine.

- `lexicon`: the words
- `grammar`: sentences about events, opinions and classes of things
- `examples`: one example of each task
- `tasks`: the five tasks, in the formats of GLUE
- `corpus`: pairs of sentences to pre-train on
- `pretraining`: pre-training of a small BERT, the model `quick-bert`
- `command`: `prunebench pretrain`
- `plugin`: registers tasks, suites, checkpoint and command

The folder `suites` has the suites `quick` and `smoke`.
"""
