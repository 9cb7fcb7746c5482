"""Suites become experiments, experiments and methods become a plan, and a plan becomes jobs.

In reading order:

- `suite`: what a run does, from a TOML file or options
- `experiment`: data and model of each task and seed, fingerprinted
- `methods`: strategies as checked recipes
- `graph`: the trees of a plan, whose nodes recipes share
- `compile`: methods, levels and experiments become a plan
- `job_spec`: a job as JSON
- `jobs`: what runs together, and what the store already holds
- `counting`: how much work that is
- `transfer`: masks of one task, trained on another
- `suites`: the built-in suites on GLUE
"""
