"""How far the masks of tasks, seeds and methods overlap, compared with chance.

Also how a mask spreads over the encoder, and what it leaves of each head.

In reading order:

- `masks`: the masks of a store, and where in the encoder their groups of units lie
- `chance`: the expected overlap of random masks
- `pairs`: the overlap of two masks, and means over pairs
- `profile`: the sparsity of each matrix, and what is left of each head
- `report`: everything that is printed, computed once
- `tables`: the tables of the page
- `page`: the whole page, and the tables for the terminal
- `plots`: the heat maps
- `files`: everything written to a folder
"""

from __future__ import annotations

from prunebench.reports.overlap.files import TEXT_FORMATS, write
from prunebench.reports.overlap.masks import choose_sparsity, load_masks
from prunebench.reports.overlap.page import terminal
from prunebench.reports.overlap.report import Report, build

__all__ = ["TEXT_FORMATS", "Report", "build", "choose_sparsity", "load_masks", "terminal", "write"]
