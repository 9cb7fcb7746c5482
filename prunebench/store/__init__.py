"""Results on disk or in object storage, and the one data model that everything else derives from.

In reading order:

- `schema`: experiments, records, cells, plans and jobs as typed classes
- `store`: results by key: read, add, set aside
- `seals`, `serialization`: files as bytes, bound to their names, and how damage is noticed
- `labels`: the labels of evaluations, by which predictions are right or wrong
- `files`, `heads`, `snapshot`: the names of files, the format of a store, and what it holds at one moment
- `backends`, `remote`: files in a folder, or wherever fsspec reaches
- `claims`: which runs are active, and which jobs they hold
- `inspection`: whether every file of a store is sound
- `contents`, `maintenance`, `merging`: list, remove, collect, and take over another store
"""
