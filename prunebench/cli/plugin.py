"""The built-in commands, given by the hook that everyone uses."""

from __future__ import annotations

import click

from prunebench.cli.attention import attention
from prunebench.cli.bundle import bundle
from prunebench.cli.calibrate import calibrate
from prunebench.cli.check import check
from prunebench.cli.compare import compare
from prunebench.cli.completion import completion
from prunebench.cli.doctor import doctor
from prunebench.cli.figures import figures
from prunebench.cli.glue_submission import glue_submission
from prunebench.cli.help import help_
from prunebench.cli.leaderboard import leaderboard
from prunebench.cli.list import list_
from prunebench.cli.masks import masks
from prunebench.cli.new import new
from prunebench.cli.plan import plan
from prunebench.cli.results import results
from prunebench.cli.run import run
from prunebench.cli.store import store
from prunebench.cli.transfer import transfer
from prunebench.cli.verify import verify
from prunebench.hooks.hookspecs import hookimpl


@hookimpl
def prunebench_commands() -> list[click.Command]:
    return [
        *(attention, bundle, calibrate, check, compare, completion, doctor, figures, glue_submission, help_),
        *(leaderboard, list_, masks, new, plan, results, run, store, transfer, verify),
    ]
