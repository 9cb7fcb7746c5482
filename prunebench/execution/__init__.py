"""Jobs run: what happens inside one, how many run side by side and where, and what is shown meanwhile.

In reading order:

- `runner`: count a plan, ask the store, run what is left, report failures
- `scheduler`: hand out jobs in order, retry dead workers, isolate failures
- `worker`: one job from start to end; `session` is what its parts share
- `preload`: what worker processes have imported before their first job
- `replay`, `trainer`, `pruner`, `measurements`: the parts of a job
- `workspace`: the model and the data of a job
- `context`, `gates`, `strategy_calls`: what a strategy sees, and how it is called
- `fence`, `process_state`: what a strategy may not change, in the model and in the process
- `checkpoints`: long trainings resume
- `trained_models`: models that a store keeps
- `executors`: processes of this machine, Ray, and what plugins add
- `same_store`: a run ends if its store is removed or replaced
- `clock`, `watch`, `display`: estimates, jobs without a sign of life, and what a user sees
- `diagnostics`: what this installation can use
"""
