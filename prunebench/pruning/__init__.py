"""Removing parts of a model: units, masks of units, and models without them.

Modules in reading order:

- `groups`: units as slices of parameters, and what a structure is
- `structures`: the built-in structures: weights, heads, neurons and layers
- `masks`: select units by their scores or at random
- `quotas`: how many units each part of a model loses
- `selection`: select units within a scope or along a pattern
- `bitmask`: masks as files of one bit per unit, and their overlap
- `costs`: what a unit saves, in parameters and FLOPs
- `budgets`: select units until their cost reaches a level
- `removal`: take units out of a model
- `compaction`: models without their pruned units, and how they are saved
- `flops`: FLOPs of a forward pass
- `plugin`: the hook that registers the built-in structures
"""
