"""Results in one file that a stranger can check, and predictions in the form of GLUE's test server.

`archive`, `schema`, `predictions` and `trees` say what a bundle is; `pack` makes one from a store, `bundle` reads one,
`verify` says whether it is true. What only reads imports no torch.
"""
