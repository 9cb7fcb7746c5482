"""Where jobs run: each executor has the interface of `concurrent.futures.Executor`.

In reading order:

- `base`: what an executor is, and what is asked of it
- `local`: one after the other in this process, or side by side in worker processes
- `deaths`: how a worker process ended, by its exit status
- `ray`: tasks of a Ray cluster
- `plugin`: the built-in executors, registered
- `resources`: how many jobs at a time, and the share of each
"""
