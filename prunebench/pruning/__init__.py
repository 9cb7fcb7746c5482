"""Removing parts of a model: units, masks of units, and models without them.

Modules in reading order:

- `structures`: weights, heads and neurons as slices of parameters
- `masks`: select units by their scores or at random
- `bitmask`: masks as files of one bit per unit, and their overlap
- `compaction`: models without their pruned heads or neurons
"""
