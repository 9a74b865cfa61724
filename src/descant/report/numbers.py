"""Numbers as a reader wants them: as many digits as the uncertainty supports, a true minus sign."""

import math

MINUS = "\u2212"
NONE = "–"
THIN = "\u202f"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | None, decimals: int | None = None, *, sign: bool = False) -> str:
    """A number with the given decimals, or three significant digits; `–` for None.

    Thousands are set apart by a thin space; very large and very small numbers get a power of ten.
    """
    if value is None or not math.isfinite(value):
        return NONE
    plus = "+" if sign and value > 0 else ""
    if value != 0 and not 1e-4 <= abs(value) < 1e7:
        mantissa, exponent = f"{value:.2e}".split("e")
        power = str(int(exponent)).translate(SUPERSCRIPTS)
        return f"{plus}{mantissa} × 10{power}".replace("-", MINUS)
    text = f"{value:,.{digits(value, 3) if decimals is None else decimals}f}"
    if float(text.replace(",", "")) == 0:
        text, plus = text.lstrip("-"), ""
    return plus + text.replace("-", MINUS).replace(",", THIN)


def count(value: float | None) -> str:
    """A whole number."""
    return number(value, 0)


def percent(share: float | None, decimals: int = 1, *, sign: bool = False) -> str:
    """A share as a percentage, with a non-breaking space before the sign."""
    text = number(None if share is None else 100 * share, decimals, sign=sign)
    return text if text == NONE else f"{text}\u00a0%"


def digits(scale: float | None, significant: int = 2) -> int:
    """Decimals that show `significant` digits of a scale: 2 for 0.65 at 2 digits, 0 for 65."""
    if not scale or not math.isfinite(scale):
        return 2
    return min(6, max(0, significant - 1 - math.floor(math.log10(abs(scale)))))


def plural(n: int, noun: str) -> str:
    """`1 seed`, `4 seeds`."""
    return f"{count(n)} {noun}{'' if n == 1 else 's'}"


def duration(seconds: float | None) -> str:
    """Wall-clock time in the two units that matter."""
    if seconds is None or not math.isfinite(seconds):
        return NONE
    if seconds < 100:
        return f"{number(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
