import io
import math

import pytest
from rich.console import Console

from descant.train import progress
from descant.train.progress import Progress, phase, span, sparkline
from descant.train.signals import Stop


def console(width=100, *, terminal=True, **more):
    return Console(
        file=io.StringIO(),
        width=width,
        height=30,
        force_terminal=terminal,
        color_system=None,
        highlight=False,
        **more,
    )


def row(iteration, *returns, skipped=0.0):
    return {
        "iteration": iteration,
        "return": list(returns),
        "gradient_norm": [0.5],
        "skipped": [skipped],
    }


def drawn(shown, width=100):
    """The table as it stands in the end, line by line."""
    to = console(width)
    to.print(shown)
    return to.file.getvalue().splitlines()


def test_the_gap_is_to_the_rule_on_the_same_scenarios_where_that_is_known():
    """Iterations between two validations show the last one; before the first there is none."""
    with Progress(console(), 3, 0, ("fit", -2.0)) as shown:
        for iteration, judged in enumerate((math.nan, -1.5, math.nan), 1):
            shown.show(row(iteration, -9.0) | {"validation": [judged]}, 1.0, 100.0)
    heading, *lines = drawn(shown)[:4]
    at = heading.index("to fit") + len("to fit")
    assert [line[:at].split()[-1] for line in lines] == ["-", "+0.500", "+0.500"]


def test_a_row_says_how_it_goes():
    table = Progress(console(), 8, 0, ("best-fit", -40.0))
    table.show(row(1, -41.0, -43.0), 2.0, 1234.5)
    table.show(row(2, -38.0, -40.0, skipped=3), 2.0, 1234.5)
    heading, _, last, curve, bar, note = drawn(table)
    assert heading.split() == [
        *("iteration", "done", "left", "return", "to", "best-fit", "gradient", "skipped"),
        "ticks/s",
    ]
    assert last.split() == [
        *("2/8", "25%", "12", "s", "-39.00", "±", "1.41", "+1.00", "0.5", "3", "1,234")
    ]
    assert curve.endswith("return, -42.00 to -39.00")
    assert bar.split()[-4:] == ["25%", "12", "s", "left"]
    assert note == "Ctrl-C saves and stops."


@pytest.mark.parametrize("width", [40, 50, 60, 80, 100, 160])
def test_every_line_fits_and_columns_are_whole(width):
    table = Progress(console(width), 1000, 0, ("most-efficient-first", -40.0))
    for i in range(1, 30):
        table.show(row(i, -41.0, -43.0), 2.0, 123456.0)
    lines = drawn(table, width)
    assert all(len(line) <= width for line in lines)
    assert len(lines) <= 20
    if width >= 60:
        assert "…" not in "".join(lines)
        assert "return" in lines[0]


def test_only_so_many_rows_stay():
    table = Progress(console(), 1000, 0, None)
    for i in range(1, 100):
        table.show(row(i, -41.0), 1.0, 1.0)
    lines = [line for line in drawn(table) if "/1000" in line]
    assert len(lines) == progress.LINES
    assert "99/1000" in lines[-1]


@pytest.mark.parametrize("returns", [(), (None,), (math.nan, None), (math.inf,)])
def test_what_is_not_finite_is_a_dash(returns):
    table = Progress(console(), 4, 0, ("best-fit", -40.0))
    table.show(row(1, *returns), 1.0, math.nan)
    assert drawn(table)[1].split() == ["1/4", "25%", "3.0", "s", "-", "-", "0.5", "0", "-"]


def test_a_resumed_run_counts_from_where_it_was():
    table = Progress(console(), 10, 5, None, returns=[-5, -4, -3, -2, -1])
    assert "50%" in drawn(table)[-2]
    table.show(row(6, -0.5), 3.0, 1.0)
    assert "6/10" in drawn(table)[1]
    assert "12 s" in drawn(table)[1]
    assert drawn(table)[2].startswith("▁▃▅▆▇█"[0])


def test_the_first_slow_iteration_does_not_decide_the_time_left():
    table = Progress(console(), 12, 0, None)
    for i, seconds in enumerate([60.0, 1.0, 1.0], 1):
        table.show(row(i, -1.0), seconds, 1.0)
    assert "9.0 s" in drawn(table)[3]


def test_without_a_terminal_there_is_a_line_now_and_then(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    to = console(terminal=False)
    with Progress(to, 30, 0, ("best-fit", -40.0)) as lines:
        for i in range(1, 31):
            now[0] += 1.0
            lines.show(row(i, -39.0), 1.0, 50.0)
    said = to.file.getvalue().splitlines()
    assert [line.split()[1] for line in said] == ["1/30", "12/30", "23/30", "30/30"]
    assert said[0] == (
        "Iteration 1/30 (3%), 29 s left: return -39.00, to best-fit +1.00, gradient 0.5, "
        "skipped 0, ticks/s 50"
    )
    assert said[-1].startswith("Iteration 30/30 (100%): return -39.00")
    assert "\x1b" not in to.file.getvalue()


def test_a_live_table_gives_the_cursor_back_after_an_error():
    to = console()
    with pytest.raises(KeyboardInterrupt), Progress(to, 4, 0, None) as table:
        table.show(row(1, -1.0), 1.0, 1.0)
        raise KeyboardInterrupt
    seen = to.file.getvalue()
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")


def test_signals_are_told_below_the_table_while_there_is_one():
    stop = Stop()
    usual = stop.say
    to = console()
    with Progress(to, 4, 0, None) as table, table.heard(stop):
        stop.say("SIGINT: saving")
        assert "SIGINT: saving" in to.file.getvalue()
    assert stop.say is usual
    with Progress(console(terminal=False), 4, 0, None) as table, table.heard(stop):
        assert stop.say is usual


def test_quiet_says_nothing():
    to = console(quiet=True)
    with phase(to, "Thinking"), Progress(to, 1, 0, None) as table:
        table.show(row(1, -1.0), 1.0, 1.0)
    assert to.file.getvalue() == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_a_phase_is_one_line_with_its_time(terminal):
    to = console(terminal=terminal)
    with phase(to, "Thinking"):
        pass
    assert to.file.getvalue().splitlines()[-1].endswith("Thinking ... 0.0 s")
    if not terminal:
        assert to.file.getvalue() == "Thinking ... 0.0 s\n"


def test_a_phase_that_fails_ends_its_line():
    to = console(terminal=False)
    with pytest.raises(ValueError), phase(to, "Thinking"):
        raise ValueError
    assert to.file.getvalue().endswith("\n")


@pytest.mark.parametrize(
    ("values", "curve"),
    [
        ([], ""),
        ([1.0], ""),
        ([math.nan, 1.0], ""),
        ([1.0, 1.0], "▁▁"),
        ([0.0, 1.0], "▁█"),
        ([0.0, math.inf, 7.0, 3.0], "▁█▄"),
        (range(8), "▁▂▃▄▅▆▇█"),
        (range(80), "▁▂▃▄▅▆▇█"),
    ],
)
def test_curves(values, curve):
    assert sparkline(values, 8) == curve


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.9, "9.9 s"), (12.3, "12 s"), (59.6, "1:00"), (3723, "1:02:03")],
)
def test_spans(seconds, text):
    assert span(seconds) == text
