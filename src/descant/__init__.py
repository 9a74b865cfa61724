"""Cooperative multi-agent policies guided by the analytic model people in a field already have."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from descant.serve.policy import Policy, load_policy

__version__ = "0.1.0"
__all__ = ["Policy", "__version__", "load_policy"]


def __getattr__(name: str) -> Any:
    # Importing the package must not start jax: what needs it is imported when it is asked for.
    if name in ("Policy", "load_policy"):
        from descant.serve import policy

        return getattr(policy, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
