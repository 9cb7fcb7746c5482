"""The built-in strategies. Like the strategies of any plugin, they import only what `prunebench` exports.

- `dense`: the unpruned model
- `magnitude`: one-shot magnitude pruning, the shortest example of a strategy
- `imp`: iterative magnitude pruning
- `heads`: structured pruning of attention heads
- `controls`: random masks, re-initialised weights, permuted layers
- `plugin`: registers them
"""
