"""The page for a browser: one HTML file that needs no network. In reading order:

`document`       fills the template: `html`
`ranking_table`  the rankings as rows for the template
`chart_data`     the numbers that the scripts draw from
`templates`      the template, its style sheet and its scripts
"""

from __future__ import annotations

from prunebench.reports.leaderboard.web.document import html

__all__ = ["html"]
