"""Write the table of algorithms into the README, from the modules in `descant/algorithms`.

    python docs/generate.py

A row is a module: the name is what its docstring begins with, the cells are its `TABLE`; its
`DOMAIN`, if there is one, is where its command leads.
"""

from pathlib import Path

from descant.core import discovery

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- algorithms:begin -->", "<!-- algorithms:end -->"
CELLS = ("view", "sharing", "credit", "ascent")


def table() -> str:
    """The algorithms as a Markdown table."""
    header = ("algorithm", "command", *CELLS)
    rows = [header, tuple("---" for _ in header)]
    rows += [_row(name) for name in discovery.names("algorithms")]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def updated(text: str) -> str:
    """`text` with the table between its marks brought up to date.

    Raises:
        ValueError: there is not one pair of marks.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"expected one {BEGIN} and one {END}.")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


def _row(name: str) -> tuple[str, ...]:
    module = discovery.load("algorithms", name)
    title = discovery.summary(module).partition(":")[0]
    cells = (module.TABLE[cell] for cell in CELLS)
    command = f"`descant train {getattr(module, 'DOMAIN', 'cloud')} {name}`"
    return (f"[{title}](docs/algorithms/{name}.md)", command, *cells)


if __name__ == "__main__":
    README.write_text(updated(README.read_text(encoding="utf-8")), encoding="utf-8")
