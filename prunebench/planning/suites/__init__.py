"""The built-in suites on GLUE: TOML files whose names are the options of `prunebench run`.

`plugin` gives them by the hook that everybody uses.
"""
