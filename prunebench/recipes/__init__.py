"""The vocabulary of recipes: a pruning method is a short list of phases. Nothing here imports torch.

- `schedules`: sparsities, the levels of iterative pruning, and the cubic ramp of gradual pruning
- `axes`: scopes and patterns of pruning, and the counts that they require
- `phase`: what a phase declares, its JSON form, and questions about a list of phases
- `phases`: the built-in phases
- `strategy`: the interface of a pruning method and of a control
- `options`: from `imp[rate=0.2]` to a strategy object and back
"""
