"""Pages, tables and figures of stored results.

Each part takes rows of `prunebench.results` or masks of the store, and writes files. In reading order:

`render`       shared by all: blocks of a page, their Markdown and LaTeX, number formats, matplotlib helpers
`labels`       the labels of evaluations, from a store or the data of a task
`examples`     which examples stored runs get right
`leaderboard`  all methods of a benchmark on one page: ranking, scores, cost, a checklist
`comparison`   two or more methods, paired by seed, with tests
`transfer`     masks of one task on other tasks
`overlap`      how far masks agree
`attention`    what attention heads look at, with and without pruning
`calibration`  the trials that a protocol was selected from
`figures`      a leaderboard or a comparison as figures for a paper
"""
