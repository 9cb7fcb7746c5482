"""Complaints on the standard error, of which there may be very many."""

from __future__ import annotations

from collections.abc import Sequence

import click

from prunebench.runtime.text import clean

# Complaints beyond this number are only counted.
LIMIT = 20


def complain(lines: Sequence[str], prefix: str = "") -> None:
    """Print the first `LIMIT` lines, each after `prefix`, and how many more there are."""
    for line in lines[:LIMIT]:
        click.echo(clean(f"{prefix}{line}"), err=True)
    if len(lines) > LIMIT:
        click.echo(f"{prefix}and {len(lines) - LIMIT} more", err=True)
