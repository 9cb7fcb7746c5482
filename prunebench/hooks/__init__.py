"""Plugins: the hooks that they implement, how they are loaded, and how the objects that they provide are looked up.

- `hookspecs`: every hook, one sentence each
- `plugins`: load the built-in plugins, the installed ones and single files
- `files`: plugins in single files, with the files beside them that they import
- `private`: the folder of this user where plugin files are written before they are imported
- `entries`: the objects that plugins provide, by kind and name
- `identity`: which code defines an object, for the keys of results
- `registry`: look up objects by kind and name
- `notebook`: a class from a notebook or script as a plugin file
"""
