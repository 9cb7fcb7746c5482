"""Results on disk or in object storage, and the one data model that everything else derives from.

In reading order:

- `schema`: experiments, records, cells, plans and jobs as typed classes
- `store`: results by key: read, add, set aside
- `serialization`: records, plans and logits as bytes, and how damage is noticed
- `backends`, `remote`: files in a folder, or wherever fsspec reaches
- `claims`: which runs are active, and which jobs they hold
- `inspection`: whether every file of a store is sound
- `contents`, `maintenance`, `merging`: list, remove, collect, and take over another store
"""
