"""Text from plugins and stores is shown as it is in Markdown and LaTeX, whatever it contains."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab import Lab, golden_lab
from pages import GOLDEN

from prunebench.reports.leaderboard import render, summarise_rows
from prunebench.reports.render.blocks import Bold, Caution, Commands, Heading, Paragraph, Table
from prunebench.reports.render.latex import escape, latex
from prunebench.reports.render.markdown import markdown

NASTY = "|`*_[]()<>{}~#!&$%^\\\"'-+=\n\t\r\x1b\u202eaé中θ±—.:/@1 "
nasty = st.text(alphabet=st.sampled_from(NASTY) | st.characters(exclude_categories=["Cs"]), min_size=1, max_size=25)


@settings(deadline=None)
@given(nasty)
def test_markdown_shows_any_text_as_it_is(text: str) -> None:
    from markdown_it import MarkdownIt

    visible = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    table = Table("title", ("method", "x"), "ll", ((text, "1"), (Bold("y"), text)), notes=("a: " + text,))
    source = markdown([Heading(2, "a " + text), Caution(text), Commands((text,)), table, Paragraph("a " + text)])
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(source)
    shown = ["".join(child.content for child in token.children or []) for token in tokens if token.type == "inline"]
    after = " " + visible if visible else ""
    expected = ["a" + after, "Warning:" + after, "method", "x", visible, "1", "y", visible, "a:" + after, "a" + after]
    assert shown == expected
    kinds = {child.type for token in tokens for child in token.children or []}
    assert kinds <= {"text", "text_special", "strong_open", "strong_close"}
    assert [token.content.strip("\n") for token in tokens if token.type == "code_block"] == [visible] * bool(visible)


COMMANDS = (
    r"\\(?:[&%$#_{}\\]|[`'^~\"vc](?=\{)|(?:textbackslash|textasciitilde|textasciicircum|textemdash|textendash|ldots"
    r"|pm|times|rightarrow|Delta|theta|approx|leq|geq|textbf|par|smallskip|small|toprule|midrule|bottomrule"
    r"|alpha|delta|begin|end|footnotesize|scriptsize|tiny|tabcolsep|centering|caption|label|clearpage|makebox|linewidth)(?![a-zA-Z]))"
)


def check_latex(text: str) -> None:
    """Check that the text is ASCII, uses only known commands, closes braces and formulas, and has complete rows."""
    assert text.isascii()
    body = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("%"))
    for environment in ("table", "tabular"):
        assert body.count(rf"\begin{{{environment}}}") == body.count(rf"\end{{{environment}}}")
    for columns, rows_text in re.findall(r"\\begin\{tabular\}\{(.+?)\}\n\\toprule\n(.*?)\\bottomrule", body, re.DOTALL):
        count = len(re.sub(r"\{[^}]*\}?", "", columns))
        for line in rows_text.strip().splitlines():
            if line != r"\midrule":
                assert line.endswith(r" \\")
                assert len(re.findall(r"(?<!\\)&", line)) == count - 1
                assert not re.match(r"\s*(\\midrule)?\s*[\[*]", line)
    rest = re.sub(COMMANDS, "", body)
    assert "\\" not in rest and "#" not in rest and "^" not in rest and "_" not in rest
    assert (
        "~" not in rest
        and "%" not in rest
        and "<" not in rest.replace("$<$", "")
        and "|" not in rest.replace("$|$", "")
    )
    assert rest.count("$") % 2 == 0
    depth = 0
    for character in rest:
        depth += (character == "{") - (character == "}")
        assert depth >= 0
    assert depth == 0


@settings(deadline=None)
@given(nasty)
def test_latex_holds_any_text(text: str) -> None:
    table = Table("a" + text, ("method", "x"), "lr", ((text, "1"), (text, Bold(text)), (text, "-")), (text,), rule=1)
    check_latex(latex([table, replace(table, caption=text)], text, source=[text]))


@pytest.mark.parametrize("name", ["table.tex", "appendix.tex"])
def test_latex_of_the_golden_page_is_well_formed(name: str) -> None:
    check_latex((GOLDEN / name).read_text(encoding="utf-8"))


def test_every_table_is_a_float_with_a_caption_and_a_label_of_its_own() -> None:
    table = Table("T", ("a", "b"), "lr", (("x", "1"),) * 100, rule=1)
    text = latex([table, table], "board")
    floats = re.findall(r"\\begin\{table\}.*?\\end\{table\}", text, re.DOTALL)
    assert all(each.count(r"\caption{") == each.count(r"\label{") == each.count(r"\toprule") == 1 for each in floats)
    labels = re.findall(r"\\label\{(.*?)\}", text)
    assert len(labels) == len(set(labels)) == len(floats) == 6, "100 rows are three floats"
    assert sum(len(re.findall(r"& +1 ", each)) for each in floats) == 200


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("imp[rate=0.2]", "imp{[}rate=0.2{]}"),
        ("50 % & more_of #1", r"50 \% \& more\_of \#1"),
        (r"a\b", r"a\textbackslash{}b"),
        ("63.00 ± 2.65", r"63.00 $\pm$ 2.65"),
        ("−1.00", "$-$1.00"),
        ("--lr", "-{}-lr"),
        ("é ç š", r"\'{e} \c{c} \v{s}"),
        ("中", "U+4E2D"),
    ],
)
def test_latex_escapes(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_a_nasty_label_in_every_format(tmp_path: Path) -> None:
    lab = Lab()
    label = "my|method[x=a_b&c$,y=<b>`]\x1b[31m\nnew"
    lab.done("rte", label, 0.5, 0, 0.5)
    render(lab.rows(), tmp_path)
    for name in ("table.tex", "appendix.tex"):
        check_latex((tmp_path / name).read_text(encoding="utf-8"))
    shown = r"my\|method\[x=a\_b&amp;c&#36;,y=&lt;b&gt;\`\] \[31m new"
    assert shown in (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "\x1b" not in summarise_rows(lab.rows())
    with (tmp_path / "results.csv").open(encoding="utf-8", newline="") as file:
        assert next(csv.DictReader(file))["label"] == "my|method[x=a_b&c$,y=<b>`] [31m new"


def test_latex_compiles(tmp_path: Path) -> None:
    compiler = shutil.which("pdflatex")
    if compiler is None:
        pytest.skip("there is no pdflatex")
    lab = golden_lab()
    lab.done("rte", NASTY, 0.5, 0, 0.5)
    render(lab.rows(), tmp_path, ["tex"])
    document = (
        r"\documentclass{article}\usepackage{booktabs}\begin{document}\input{table}\input{appendix}\end{document}"
    )
    (tmp_path / "main.tex").write_text(document)
    compiled = subprocess.run(
        [compiler, "-interaction=nonstopmode", "-halt-on-error", "main.tex"], cwd=tmp_path, capture_output=True
    )
    assert compiled.returncode == 0, compiled.stdout.decode(errors="replace")[-2000:]
