"""Removing parts of a model: units, masks of units, and models without them.

Modules in reading order:

- `structures`: weights, heads and neurons as slices of parameters
- `masks`: select units by their scores or at random
- `quotas`: how many units each part of a model loses
- `selection`: select units within a scope or along a pattern
- `bitmask`: masks as files of one bit per unit, and their overlap
- `compaction`: models without their pruned heads or neurons
- `flops`: FLOPs of a forward pass, and what a unit saves
"""
