"""How the compiler is asked to run our programs, decided before it starts."""

import os

_FLAG = "--xla_cpu_multi_thread_eigen"


def prepare() -> None:
    """Keep XLA from splitting small operations over threads; to be called before jax is used.

    Our programs are loops over many small operations, where a pool of threads gains nothing, and
    XLA's pool can lose a task: programs with several seeds were seen to wait for ever with all
    threads idle (jaxlib 0.10.2). Who sets the flag in `XLA_FLAGS` keeps their choice. If jax has
    already started, this has no effect.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if _FLAG not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_FLAG}=false".strip()
