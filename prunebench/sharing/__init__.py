"""Results that others can check: bundles with all their evidence, and predictions for GLUE's test server.

Both are zip files that are written the same way every time. In reading order:

`bundle`       zip files with records and predictions: packing, reading, verifying, training again
`glue_server`  predictions for the test splits of GLUE, as the server takes them
"""
