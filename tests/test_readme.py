"""What the documents say can be typed, linked and run."""

import ast
import itertools
import re
import shlex
from importlib import import_module, util
from pathlib import Path

import pytest

from descant.cli import config
from descant.cli import main as cli
from descant.cli.arguments import read
from descant.core import discovery
from descant.train.settings import TABLES

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(p for d in ("docs", "benchmarks", "data") for p in ROOT.glob(f"{d}/**/*.md")),
    ]
)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def fences(text: str, *languages: str) -> list[str]:
    """Contents of fenced blocks in one of these languages."""
    return [body for language, body in FENCE.findall(text) if language in languages]


def commands(text: str) -> list[str]:
    """Calls of descant in shell blocks, one per command, and those in running text."""
    found = []
    for block in fences(text, "", "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            found += [part.strip() for part in line.split("#")[0].split("&&")]
    found += re.findall(r"`(descant [a-z][^`]*)`", FENCE.sub("", text))
    named = (re.sub(r"^\.venv/bin/(?=descant)", "", part) for part in found)
    return [part for part in named if re.match(r"descant [a-z]", part)]


COMMANDS = sorted({c for page in PAGES for c in commands(page.read_text(encoding="utf-8"))})
OWN = "my_algorithm.py", "my_domain.py"
"""Files that a reader would write."""


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_are_understood(line, monkeypatch, capsys):
    """Names, options and settings are known and fit together; nothing is run."""
    monkeypatch.chdir(ROOT)
    words = shlex.split(line)[1:]
    if any(word in OWN for word in words):
        pytest.skip("is about a file of the reader's")
    name, *rest = words
    assert name in cli.COMMANDS
    command = import_module(f"descant.cli.{cli.COMMANDS[name]}")
    arguments = read(rest, command.OPTIONS, command.WORDS, command.ROOTS)
    arguments.check()
    if "RUN" in line.split() or "--config" in words:
        return
    if (name == "train" and "--help" not in words) or "--vary" in words:
        assert cli.run([*words, "--dry-run", "--quiet"]) == 0, capsys.readouterr().err
    if name == "evaluate":
        domain = arguments.words[0] if arguments.words else "cloud"
        if domain.startswith("runs/"):
            # A run folder is named after its domain.
            domain = domain.removeprefix("runs/").split("-")[0]
        config.resolve(domain, None, arguments.options.preset, None, arguments.flags)


def test_there_are_commands_to_check():
    assert {"train", "sweep", "evaluate", "compare", "import", "list", "doctor"} <= {
        command.split()[1] for command in COMMANDS
    }


def test_first_command_is_the_whole_way():
    (block, *_) = fences(README, "sh")
    assert block.split(" && ")[0] == "python3 -m venv .venv"
    assert "-c constraints.txt" in block
    assert block.rstrip().endswith(".venv/bin/descant train")


def test_tests_are_run_by_the_file_that_the_readme_names():
    assert "\nbash .ci/run\n" in README
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_table_of_algorithms_is_up_to_date():
    spec = util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    generate = util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert generate.updated(README) == README, "run: python docs/generate.py"
    for name in discovery.names("algorithms"):
        assert f"docs/algorithms/{name}.md" in README
    with pytest.raises(ValueError, match="one <!-- algorithms:begin -->"):
        generate.updated(README.replace(generate.BEGIN, ""))


@pytest.mark.parametrize("name", discovery.names("algorithms"))
def test_page_of_an_algorithm_has_its_row(name):
    text = (ROOT / "docs" / "algorithms" / f"{name}.md").read_text(encoding="utf-8")
    row = discovery.load("algorithms", name).TABLE
    cells = re.search(r"^\|---\|---\|---\|---\|\n\| (.*) \|$", text, re.MULTILINE)
    assert cells is not None
    assert [
        cell.replace(r"$\alpha$", "alpha").replace("$1 - \\alpha$", "1 - alpha")
        for cell in cells[1].split(" | ")
    ] == [*row.values()]
    # The toy that all others are shown on is no network.
    assert (f"](curves/{name}.svg)" in text) == (name != "localised")


def test_settings_named_in_pages_exist():
    """Dotted settings outside commands, such as `--algorithm.order`, belong to some member."""
    known = {"seed", "seeds"}
    for domain, algorithm in itertools.product(
        *(discovery.names(kind) for kind in discovery.KINDS)
    ):
        known |= config.flatten(config.resolve(domain, algorithm)).keys()
    known |= {name.replace(".base.", ".") for name in known}
    for page, name in zip(PAGES, NAMES, strict=True):
        text = page.read_text(encoding="utf-8")
        for setting in re.findall(rf"--((?:{'|'.join(TABLES)})\.[a-z][a-z_.-]*[a-z])\b", text):
            if page.parent.name != "decisions":
                assert setting.replace("-", "_") in known, f"{name}: --{setting}"


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    page = ROOT / name
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{name}: {target}"
        assert there.is_relative_to(ROOT), f"{name}: {target} leads out of the repository"
        if anchor:
            assert anchor in anchors(there.read_text(encoding="utf-8")), f"{name}: {target}"


def anchors(text: str) -> set[str]:
    """Headings as the usual renderers name them in links."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMES)
def test_every_page_of_docs_is_in_the_index(name):
    if name.startswith("docs/") and name != "docs/index.md":
        index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
        assert f"({name.removeprefix('docs/')})" in index


@pytest.mark.parametrize("name", NAMES)
def test_snippets_are_python(name):
    for body in fences((ROOT / name).read_text(encoding="utf-8"), "python"):
        ast.parse(body)


@pytest.mark.parametrize(
    ("page", "needs", "last"),
    [("extending", (), "make"), ("bridges", ("gymnasium", "pettingzoo"), "truncations")],
)
def test_snippets_of_a_page_run(page, needs, last, monkeypatch):
    """One after another, as a reader would."""
    for extra in needs:
        pytest.importorskip(extra, reason=f"needs the extra {extra}")
    monkeypatch.chdir(ROOT)
    space: dict[str, object] = {"__name__": page}
    for body in fences((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"), "python"):
        exec(compile(body, f"docs/{page}.md", "exec"), space)  # noqa: S102  our own page
    assert space[last] is not None


def test_pages_name_no_placeholders():
    """Marks that are to be filled before a release."""
    marks = re.findall(r"<!-- (?!algorithms:)(.*?) -->", README)
    assert not marks, f"README.md still has {marks}"
