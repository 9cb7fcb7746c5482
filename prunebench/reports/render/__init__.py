"""How pages are written: blocks of plain text, the formats they are rendered in, and how numbers and figures look.

Nothing here knows what a page is about. In reading order:

`blocks`      headings, paragraphs and tables of plain text, which every format renders
`formatting`  numbers as text: scores × 100 with two decimals, intervals, counts
`markdown`    blocks as Markdown
`latex`       blocks as LaTeX tables
`terminal`    a table as plain text
`files`       writing files, CSV, and the `--format` option
`provenance`  where the numbers of a page come from: model, seeds, hardware, versions
`plots`       how matplotlib figures look and are written
"""
