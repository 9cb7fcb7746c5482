"""Files that are no results at all: each is a complaint, set aside, and made again by the next run."""

from __future__ import annotations

import json

import pytest
from commands import call, contents, lasting
from stores import table

from prunebench.store import seals
from prunebench.store.schema import Record, text
from prunebench.store.store import Store


@pytest.fixture
def finished(template, tmp_path):
    """The folder of a finished run."""
    folder = tmp_path / "finished"
    for name, data in contents(template).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def write(content):
    def put(path):
        path.write_bytes(content)

    return put


def link_to_itself(path):
    path.unlink(missing_ok=True)
    path.symlink_to(path)


def make_a_folder(path):
    path.unlink(missing_ok=True)
    path.mkdir()
    (path / "inside").write_text("")


def link_to_nothing(path):
    path.unlink(missing_ok=True)
    path.symlink_to(path.with_name("nothing"))


FORMS = {
    "empty": write(b""),
    "empty object": write(b"{}"),
    "list": write(b"[1]"),
    "no text": write(b"\xff\xfe\x00"),
    "nested": write(b"[" * 200_000 + b"]" * 200_000),
    "nested object": write(b'{"record":' * 100_000 + b"1" + b"}" * 100_000),
    "infinite": write(b'{"format": 1e400, "checksum": 1e400, "key": 1e400}'),
    "link to itself": link_to_itself,
    "folder": make_a_folder,
}
COMMANDS = [("doctor",), ("results", "--all"), ("leaderboard", "--all"), ("store", "ls"), ("store", "gc", "--dry-run")]


def first(folder, pattern):
    return sorted(folder.glob(pattern))[0]


@pytest.mark.parametrize("form", FORMS)
def test_no_command_ends_in_a_traceback(finished, form):
    """With one file of each kind in that form, every command says what is wrong in lines."""
    for pattern in ("records/*/*.json", "masks/*", "plans/*"):
        FORMS[form](first(finished, pattern))
    FORMS[form](sorted(finished.glob("records/*/*.npz"))[-1])
    for kind in ("failures", "weights", "models", "checkpoints", "runs"):
        (finished / kind).mkdir(exist_ok=True)
        ending = ".json" if kind in ("failures", "runs") else ".safetensors"
        FORMS[form](finished / kind / f"{'0' * 32}{ending}")
    for command in COMMANDS:
        result = call(*command, "--store", finished)
        assert result.status in (0, 1, 2), result
        assert "Traceback" not in result.out + result.err
    assert "wrong, see above" in call("doctor", "--store", finished).err, "the plan stays until its command is given"


@pytest.mark.parametrize("form", ["empty object", "link to itself", "folder", "nested"])
def test_the_next_run_makes_malformed_files_again(finished, template, words, form):
    """Of records, logits, masks, plans and failures; the results are the same as before."""
    for pattern in ("records/*/*.json", "masks/*", "plans/*"):
        FORMS[form](first(finished, pattern))
    failure = finished / "failures" / f"{Store.open(template).keys('records')[0]}.json"
    failure.parent.mkdir(exist_ok=True)
    FORMS[form](failure)
    call("doctor", "--store", finished)
    assert call("run", *words, "--seeds", "2", "--store", finished).status == 0
    assert lasting(finished) == lasting(template)
    doctor = call("doctor", "--store", finished)
    # The command that is stored names another store, and so has another plan: the damaged one is still there.
    assert all("plans" in line for line in doctor.err.splitlines() if line.startswith("wrong: ")), doctor.err


@pytest.mark.parametrize("patterns", [["records/*/*.json", "masks/*"], ["masks/*"]], ids=" and ".join)
def test_a_link_to_nothing_is_replaced(finished, template, words, patterns):
    for pattern in patterns:
        link_to_nothing(first(finished, pattern))
    call("doctor", "--store", finished)
    assert call("run", *words, "--seeds", "2", "--store", finished).status == 0
    assert lasting(finished) == lasting(template)
    assert call("doctor", "--store", finished).status == 0


def test_any_damage_of_logits_is_a_complaint(finished):
    """A damaged npz file raises errors of zip, zlib, numpy and its parser, if the record has no checksum of it."""
    store = Store.open(finished)
    name = first(finished, "records/*/*.npz")
    record = name.with_suffix(".json")
    fields = json.loads(record.read_text())
    del fields["logits"]
    fields["record"]["format"] = 1
    fields["checksum"] = Record.model_validate(fields["record"]).checksum
    old, data = json.dumps(fields).encode(), name.read_bytes()
    for position in range(0, len(data), 3):
        for bit in (1, 64):
            changed = bytearray(data)
            changed[position] ^= bit
            name.write_bytes(changed)
            record.write_bytes(old)
            store = Store.open(finished)
            try:
                store.logits(name.stem)
            except Exception as error:
                assert type(error).__name__ == "PrunebenchError", error


@pytest.mark.parametrize(
    "change",
    [
        {"metrics": ["nothing"]},
        {"evaluations": ["nothing"]},
        {"task": "nothing"},
        {"strategy": "nothing", "label": "nothing"},
        {"unit": "nothing"},
        {"sparsity": 0.9},
        {"control_of": "nothing"},
        {"key": "0" * 32},
        {"mask": "0" * 32},
        {"trainings": []},
        {"benchmark": "nothing", "split": "nothing"},
    ],
    ids=str,
)
def test_a_plan_with_wrong_cells_is_no_traceback(finished, change):
    """As an old version or another program may have written it: with a checksum, and cells that fit nothing."""
    [file] = finished.glob("plans/*.json")
    name = f"plans/{file.name}"
    plan = json.loads(seals.unseal_json(name, file.read_bytes()))
    for cell in plan["cells"][3:5]:
        cell.update(change)
    file.write_bytes(seals.seal_json(name, text(plan)))
    for command in (*COMMANDS, ("compare", "imp", "magnitude", "--resamples", "100"), ("masks",)):
        result = call(*command, "--store", finished)
        assert result.status in (0, 1, 2), result
        assert "Traceback" not in result.out + result.err


def test_an_altered_plan_changes_no_table(finished):
    """A single digit of a sparsity or seed, which is a valid plan in itself."""
    before = table(finished)
    [file] = finished.glob("plans/*.json")
    file.write_bytes(file.read_bytes().replace(b'"seed":1', b'"seed":3', 1))
    result = call("results", "--store", finished)
    assert f"{file} does not match its checksum; it is left out" in result.err
    assert "3" not in {row["seed"] for row in before}
    assert result.status == 2 or not result.out.strip().count("\n")
