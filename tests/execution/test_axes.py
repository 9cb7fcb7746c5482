"""Scopes, patterns and schedules from a suite to stored masks and trained weights, on the tiny model."""

from __future__ import annotations

import math

import numpy as np
import pytest
import safetensors.torch
from plugin_files import SCORE, plugin_file

from prunebench.pruning import masks

# The tiny model: 2 layers of 4 matrices of 32 × 32, one of 64 × 32 and one of 32 × 64.
UNITS = 2 * (4 * 32 * 32 + 2 * 32 * 64)


@pytest.fixture
def result(run):
    """Returns the record, the mask and the trained prunable weights of a method. Random masks are not stored."""

    def run_method(text, sparsity="0.5", **options):
        store, plan, report = run(text, sparsity, keep=True, epochs="1", **options)
        assert report.failures == {}
        record = store.record(plan.cells[-1].leaf.key)
        weights = store.load("models", record.key, safetensors.torch.load)
        key = plan.cells[-1].to_cell().mask
        mask = store.load("masks", key, masks.unpack) if key else None
        names = [name for name in weights if ".layer." in name and weights[name].dim() == 2]
        return record, mask, {name: weights[name].numpy() for name in names}

    return run_method


def assert_zero_where_pruned(mask, weights):
    assert set(mask) == set(weights)
    for name, keep in mask.items():
        assert not weights[name][~keep.numpy()].any()
        # Weights that stay are trained, and exact zeros among them would be a coincidence.
        assert np.count_nonzero(weights[name]) == int(keep.sum())


def tiles(weights, rows, columns):
    """A matrix as tiles, of shape (tiles down, tiles across, rows, columns)."""
    down, across = weights.shape[0] // rows, weights.shape[1] // columns
    return weights.reshape(down, rows, across, columns).swapaxes(1, 2)


def test_every_matrix_loses_the_same_fraction(result):
    record, mask, weights = result("magnitude[scope=layer]", "0.3")
    pruned = {name: int((~keep).sum()) for name, keep in mask.items()}
    assert sum(pruned.values()) == record.sparsity.pruned == math.floor(0.3 * UNITS + 0.5)
    assert all(abs(count - 0.3 * mask[name].numel()) < 1 for name, count in pruned.items())
    assert_zero_where_pruned(mask, weights)
    assert record.checks["count_exact"] and "pattern_followed" not in record.checks


def test_every_row_loses_the_same_fraction(result):
    record, mask, weights = result("magnitude[scope=row]", "0.3")
    assert record.sparsity.pruned == math.floor(0.3 * UNITS + 0.5)
    for name, keep in mask.items():
        in_rows = (~keep).sum(dim=1)
        assert ((in_rows - 0.3 * keep.shape[1]).abs() < 1).all(), name
    assert_zero_where_pruned(mask, weights)


def test_matrices_have_the_densities_of_the_kernel(result):
    """Evci et al. 2020: density is proportional to (n_in + n_out)/(n_in · n_out)."""
    record, mask, weights = result("magnitude[scope=erk]", "0.5")
    # ε·(8·64 + 4·96) = 8192 weights stay, so ε = 64/7: square matrices keep ε·64/1024 of theirs, others ε·96/2048.
    for name, keep in mask.items():
        density = 4 / 7 if keep.numel() == 32 * 32 else 3 / 7
        assert abs(int(keep.sum()) - density * keep.numel()) < 1, name
    assert record.sparsity.pruned == UNITS // 2
    assert_zero_where_pruned(mask, weights)


def test_two_of_four_weights_stay_in_the_mask_and_in_the_trained_weights(result):
    record, mask, weights = result("magnitude[pattern=2:4]")
    for keep in mask.values():
        assert (keep.view(-1, 4).sum(dim=1) == 2).all()
    assert_zero_where_pruned(mask, weights)
    assert record.checks["pattern_followed"] is True
    assert record.sparsity.pruned == UNITS // 2


def test_blocks_go_as_a_whole(result):
    record, mask, weights = result("magnitude[pattern=4x1]", "0.3")
    assert record.sparsity.pruned == 4 * math.floor(0.3 * UNITS / 4 + 0.5)
    for name, matrix in weights.items():
        counts = np.count_nonzero(tiles(matrix, 4, 1), axis=(2, 3))
        assert set(np.unique(counts)) <= {0, 4}, name
    assert_zero_where_pruned(mask, weights)
    assert record.checks["pattern_followed"] is True and record.checks["count_exact"] is True


@pytest.mark.parametrize("text", ["imp[pattern=2:4,rate=0.25]", "magnitude[schedule=cubic,pattern=2:4]"])
def test_a_pattern_is_reached_in_several_steps(result, text):
    record, mask, weights = result(text)
    assert all((keep.view(-1, 4).sum(dim=1) == 2).all() for keep in mask.values())
    assert_zero_where_pruned(mask, weights)
    assert record.checks["pattern_followed"] is True


def test_a_random_control_keeps_the_counts_of_every_matrix(result):
    _, mask, _ = result("magnitude[scope=erk]", store="method")
    record, no_mask, weights = result("random-pruning[of=magnitude[scope=erk]]", store="control")
    assert no_mask is None
    assert {name: np.count_nonzero(matrix) for name, matrix in weights.items()} == {
        name: int(keep.sum()) for name, keep in mask.items()
    }
    assert any((weights[name] != 0).tolist() != mask[name].tolist() for name in mask)
    assert record.checks["count_exact"] is True


@pytest.mark.parametrize(("pattern", "rows", "columns", "counts"), [("2:4", 1, 4, {2}), ("4x1", 4, 1, {0, 4})])
def test_a_random_control_follows_the_pattern(result, pattern, rows, columns, counts):
    _, mask, _ = result(f"magnitude[pattern={pattern}]", store="method")
    record, _, weights = result(f"random-pruning[of=magnitude[pattern={pattern}]]", store="control")
    for name, matrix in weights.items():
        assert set(np.unique(np.count_nonzero(tiles(matrix, rows, columns), axis=(2, 3)))) <= counts
        assert np.count_nonzero(matrix) == int(mask[name].sum())
    assert any(((weights[name] != 0) != mask[name].numpy()).any() for name in mask)
    assert record.checks["pattern_followed"] is True


def test_scopes_below_one_training_ask_for_scores_once(run, tmp_path):
    log = tmp_path / "calls"
    log.write_text("")
    path = f"__import__('pathlib').Path({str(log)!r})"
    score = f"({path}.write_text({path}.read_text() + 'asked '), {SCORE})[1]"
    file = plugin_file(tmp_path, score=score)
    store, plan, report = run("mine,mine[scope=row],mine[scope=layer]", "0.3,0.5", plugins=[file], epochs="1")
    assert report.failures == {} and len(store.fetch({cell.leaf.key for cell in plan.cells})) == 2 + 6
    assert log.read_text().split() == ["asked"]
    assert len({cell.to_cell().mask for cell in plan.cells[2:]}) == 6


def test_a_pattern_that_does_not_divide_a_matrix_fails_alone(run):
    store, plan, report = run("magnitude,magnitude[pattern=3x1]", "0.5", epochs="1")
    records = {cell.method.label: store.record(cell.leaf.key) for cell in plan.cells}
    assert [label for label, record in records.items() if record is None] == ["magnitude[pattern=3x1]"]
    (reason,) = set(report.failures.values())
    assert "pattern 3x1 does not divide" in reason and "\n" not in reason


# --- FLOPs ---


def test_records_count_flops_without_running_the_model(run):
    store, plan, _ = run("magnitude,heads", "0.5", epochs="1")
    dense, _, weights, heads = (store.record(cell.leaf.key) for cell in plan.cells)
    # 64 positions: 2 layers, then a pooler of 32 × 32 and a classifier of 2 labels for the first token.
    layer = 2 * 64 * (4 * 32 * 32 + 2 * 32 * 64) + 4 * 64**2 * 32
    total = 2 * layer + 2 * (32 * 32 + 2 * 32)
    assert vars(dense.flops) == {"length": 64, "dense": total, "scored": total, "skipping_zeros": total}
    skipped = total - 2 * 64 * UNITS // 2
    assert vars(weights.flops) == {"length": 64, "dense": total, "scored": total, "skipping_zeros": skipped}
    # Compaction takes 4 of 8 heads out: each has 4 matrices of 8 × 32, and 8 columns of the two products.
    left = total - 4 * (2 * 64 * 4 * 8 * 32 + 4 * 64**2 * 8)
    assert vars(heads.flops) == {"length": 64, "dense": total, "scored": left, "skipping_zeros": left}
