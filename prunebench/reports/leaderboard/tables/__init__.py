"""The tables of a page, as plain text.

Every function returns `render.blocks.Table`s, which each format escapes and lays out. In reading order:

`columns`   splitting a wide table into parts that fit a line
`scores`    scores of every method at one sparsity, of all sparsities, and of every seed
`baselines` how strong the dense models are
`sizes`     what is left of the model, what the methods cost, and how fast the models predict
`rankings`  rank and score by sparsity
`matching`  the largest sparsity that matches the dense model
`methods`   the methods and the reporting checklist
`papers`    tables of papers, as reported
"""
