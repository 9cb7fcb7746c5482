"""Plugins: the hooks that they implement, how they are loaded, and how their things are found by name.

- `hookspecs`: every hook, one sentence each
- `plugins`: load the built-in plugins, the installed ones and single files
- `entries`: the things that plugins provide, and their names
- `identity`: which version of which code provides a thing
- `registry`: look things up by name
"""
