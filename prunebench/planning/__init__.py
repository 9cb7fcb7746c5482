"""Suites become experiments, experiments and methods become a plan, and a plan becomes jobs.

In reading order:

- `suite`: what a run does, from a TOML file or options
- `protocol_file`: the values of a protocol by task, and the trials that they were selected from
- `toml_file`: how both are read
- `experiment`: data and model of each task and seed, fingerprinted
- `methods`: strategies as checked recipes
- `graph`: the trees of a plan, whose nodes recipes share
- `levels`: sparsities of which a method has no model
- `compile`: methods, levels and experiments become a plan
- `job_spec`: a job as JSON
- `jobs`: what runs together, and what the store already holds
- `failures`: what is stored of a job that failed
- `counting`: how much work that is
- `transfer`: masks of one task, trained on another
- `calibrate`: dense models under a grid of settings, to select a protocol
- `suites`: the built-in suites on GLUE
"""
