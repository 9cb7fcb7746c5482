"""Results as one long table: a row for each metric of each evaluation of a cell, with its setting and its cost.

All reports are made from these rows. In reading order:

`versions`    the cells of stored plans, and the version of its method that each is of
`rows`        the table, built from stored plans and records
`filters`     the selected rows, and whether they may share a page
`warnings`    what a reader of some rows must be warned of
`export`      the table as a DataFrame, CSV, JSON or Parquet
`statistics`  intervals, paired comparisons, ranks and matching sparsities
"""
