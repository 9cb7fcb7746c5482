"""The vocabulary of recipes: a pruning method is a short list of phases. Nothing here imports torch.

- `schedules`: sparsities, the levels of iterative pruning, and the cubic ramp of gradual pruning
- `axes`: scopes and patterns of pruning, and the counts that they require
- `phases`: the steps of a recipe, their JSON form, and questions about them
- `strategy`: the interface of a pruning method and of a control
- `options`: from `imp[rate=0.2]` to a strategy object and back
"""
