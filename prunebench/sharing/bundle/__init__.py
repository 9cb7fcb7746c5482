"""A bundle is one zip file with cells, their records, and the predictions of every example.

Whoever receives it can verify it without trusting its author. In reading order:

`archive`      the zip archive, which is read only in the form in which it is written
`strict`       JSON of strangers, parsed into typed objects
`schema`       the manifest and the lines of the JSON files
`bounds`       how large and how many things may be
`predictions`  arrays of predictions as npy files
`reader`       a bundle in memory, which has the interface of a store
`pack`         the bundle of some results of a store
`trees`        the trees of a plan, rebuilt from records, in which every key is computed again
`counts`       checks of the numbers in records: checksums, counts, sizes, FLOPs
`checks`       checks of keys, cells and masks that need no data either
`gaps`         what a bundle lacks
`suspicions`   what no honest run gives
`recompute`    every metric, computed again from the predictions and the task's data
`stamp`        a note that a bundle was verified, for pages
`verify`       the verdict on a bundle
`rerun`        some cells of a bundle, and a plan that trains them again
`agreement`    whether records that were made again agree with those of the bundle
`retrain`      cells of a bundle, trained again
"""
