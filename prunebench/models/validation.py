"""Refuse checkpoints that are damaged or incomplete, with one line that says what is wrong.

transformers reports a truncated file with a long traceback, and initialises missing weights at random with a warning.
A benchmark must not go on with either.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebench.errors import PrunebenchError
from prunebench.models.sources import tokenizer_files, weight_files

if TYPE_CHECKING:
    from prunebench.models.encoder import PrunableModel


def check_tokenizer(folder: Path) -> None:
    """Raise PrunebenchError if the folder has no vocabulary. transformers would make up one of five tokens."""
    settings = {"added_tokens.json", "special_tokens_map.json", "tokenizer_config.json"}
    if not {path.name for path in tokenizer_files(folder)} - settings:
        raise PrunebenchError(f"no tokenizer in {str(folder)!r}", "expected tokenizer.json or vocab.txt")


def check_readable(folder: Path) -> None:
    """Raise PrunebenchError if a weight file is truncated or in another format than its name says.

    Only the header of a safetensors file is read, without torch.
    """
    from safetensors import SafetensorError, safe_open

    for path in weight_files(folder):
        try:
            if path.suffix == ".safetensors":
                with safe_open(path, framework="np"):  # "pt" would import torch
                    pass
            elif path.suffix == ".bin":
                import torch

                torch.load(path, map_location="meta", weights_only=True)
        # torch raises OSError for a truncated zip file. It cannot mean missing permissions: all files were digested.
        except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
            reason = " ".join(str(error).split())[:120]
            raise PrunebenchError(
                f"checkpoint {str(path)!r} is truncated or damaged: {reason}", "copy or download it again"
            ) from error


def check_encoder(pm: PrunableModel, report: dict[str, Any], name: str) -> None:
    """Raise PrunebenchError unless the checkpoint gave every weight of the encoder, and nothing else in its layers.

    `report` is transformers' `output_loading_info`. Only the pooler may be missing: some checkpoints come without one.
    """
    hint = "expected weights and config.json of the same model"
    encoder = f"{pm.model.base_model_prefix}."
    for key, actual, expected in sorted(report["mismatched_keys"]):
        if key.startswith(encoder):
            shapes = f"has {key} in shape {list(actual)}, but its config.json says {list(expected)}"
            raise PrunebenchError(f"checkpoint {name!r} {shapes}", hint)
    missing = sorted(key for key in report["missing_keys"] if key.startswith(encoder))
    if pm.architecture.pooler:
        missing = [key for key in missing if not key.startswith(f"{encoder}{pm.architecture.pooler}.")]
    if missing:
        raise PrunebenchError(f"checkpoint {name!r} lacks {_shorten(missing)}", "expected all weights of the encoder")
    if extra := sorted(key for key in report["unexpected_keys"] if f"{pm.architecture.layers}." in key):
        raise PrunebenchError(f"checkpoint {name!r} has {_shorten(extra)}, unknown to its config.json", hint)


def _shorten(keys: list[str]) -> str:
    return f"{keys[0]} and {len(keys) - 1} more" if len(keys) > 1 else keys[0]
