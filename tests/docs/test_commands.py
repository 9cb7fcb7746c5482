"""Every command that the documents quote exists with all its options, and those under `<!-- run -->` are run."""

from __future__ import annotations

import re
import shutil

import click
import pytest
from commands import call
from docs.quotes import DOCUMENTS, ROOT, Block, blocks, generator, sentences

from prunebench import cli
from prunebench.execution.executors import resources
from prunebench.hooks.registry import Registry

# Stands in for the suites `quick` and `smoke` of the documents.
TINY = """
model = "tiny-bert"
tasks = ["sentiment", "paraphrase"]
strategies = ["imp", "magnitude", "random-pruning", "heads"]
sparsities = [0.1]
seeds = 2
epochs = 1
train-limit = 32
eval-limit = 16
"""
# Words of the documents, and what stands in for them.
SUITES = {"quick": "quick.toml", "smoke": "smoke.toml"}
SMALLER = SUITES | {"0.5": "0.1"}


def resolve(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command of a command line, and the words that follow it."""
    command: click.Command = cli.cli
    while isinstance(command, click.Group):
        with click.Context(command, obj=Registry(), **cli.cli.context_settings) as context:
            child = command.get_command(context, words[0])
        assert child is not None, words
        command, words = child, words[1:]
    return command, words


@pytest.mark.parametrize("document", DOCUMENTS)
def test_command_lines_parse(document):
    for block in blocks(document):
        for words in block.commands:
            command, rest = resolve(words)
            # click remembers the name of the help option, which comes from the parent.
            with click.Context(cli.cli, **cli.cli.context_settings) as parent:
                command.make_context(command.name, list(rest), parent=parent).close()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_in_sentences_exist(document):
    for words in sentences(document):
        if words[0].startswith("-"):
            continue
        command, rest = resolve(words)
        known = {name for option in command.params for name in option.opts} | {"--help", "-h"}
        assert {word for word in rest if word.startswith("-")} <= known, words


def test_shell_blocks_run_nothing_unknown():
    """A misspelt program name would otherwise be taken for prose."""
    for document in DOCUMENTS:
        for block in blocks(document):
            if block.language == "sh":
                for line in block.text.splitlines():
                    assert line.startswith(("prunebench ", "pip install ", "python3 -m venv ")), (document, line)


def test_options_of_the_gpu_board_exist():
    """That script runs where no test does."""
    text = (ROOT / "tests" / "bench" / "gpu_board.sh").read_text(encoding="utf-8").replace("\\\n", " ")
    shared = re.search(r"^common=\((.*)\)$", text, re.MULTILINE).group(1)
    lines = [line.replace('"${common[@]}"', shared) for line in text.splitlines() if " prunebench " in line]
    assert len(lines) == 6
    for line in lines:
        words = line.partition(" prunebench ")[2].split()
        command, rest = resolve(words)
        known = {name for option in command.params for name in option.opts}
        assert {word for word in rest if word.startswith("--")} <= known, line


def run_block(block: Block) -> None:
    """Run a block in the current folder, with the tiny suites."""
    if block.language == "python":
        code = block.text.replace("sparsities=[0.5, 0.7], seeds=3", "seeds=2")
        for name, file in SUITES.items():
            code = code.replace(f'"{name}"', f'"{file}"')
        exec(compile(code, block.document, "exec"), {})
    for words in block.commands:
        result = call(*(SMALLER.get(word, word) for word in words))
        assert result.status == 0, f"{block.document}: prunebench {' '.join(words)}\n{result.err}\n{result.out}"


def test_marked_blocks_run(tmp_path, tiny_models, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Worker processes would take most of the time.
    monkeypatch.setattr(resources, "DEFAULT_EXECUTOR", "here")
    shutil.copytree(tiny_models["bert"], tmp_path / "tiny-bert")
    for file in SUITES.values():
        (tmp_path / file).write_text(TINY)
    code = generator().wanda().removeprefix("```python\n").removesuffix("```")
    (tmp_path / "wanda.py").write_text(code)
    for block in blocks("docs/pages/own-method.md"):
        if block.mark.startswith("plugin "):
            (tmp_path / block.mark.removeprefix("plugin ")).write_text(block.text)
    marked = [block for document in DOCUMENTS for block in blocks(document) if block.mark == "run"]
    assert len(marked) >= 10
    for block in marked:
        run_block(block)
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    pages = {"page/README.md", "page/index.html", "page/table.tex", "mine/README.md", "transfer/README.md"}
    assert pages | {"masks/README.md", "maps/README.md", "mine.zip", "scores.parquet"} <= written


@pytest.mark.parametrize(
    ("mark", "kind", "name"),
    [
        ("plugin noise.py", "phases", "Noise"),
        ("plugin pairs.py", "structures", "pair"),
        ("plugin colours.py", "tasks", "colours"),
        ("plugin hello.py", "commands", "hello"),
    ],
)
def test_quoted_plugins_load(mark, kind, name, tmp_path):
    (block,) = [block for block in blocks("docs/pages/plugins.md") if block.mark == mark]
    path = tmp_path / mark.split()[1]
    path.write_text(block.text)
    value = Registry([path]).get(kind, name)
    if kind == "tasks":
        assert value.load(None).sizes() == {"train": 80, "validation": 12}


def test_the_readmes_methods_have_recipes(tmp_path):
    from prunebench.planning.methods import Method
    from prunebench.recipes.options import split_list

    (tmp_path / "wanda.py").write_text(generator().wanda().removeprefix("```python\n").removesuffix("```"))
    registry = Registry([tmp_path / "wanda.py"])
    words = [words for block in blocks("README.md") for words in block.commands if "--plugin" in words]
    for command in words:
        for name in split_list(command[command.index("--strategies") + 1]):
            assert Method(name, registry).steps(0.5)
