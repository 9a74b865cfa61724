"""The devices over which a run spreads its scenarios."""

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from descant.core.errors import UserError

if TYPE_CHECKING:
    from jax.sharding import Mesh

Devices = int | Literal["all"]
"""How many devices each process uses."""


def provide(devices: Devices) -> None:
    """See that a machine without accelerators has as many CPU devices as are asked for.

    XLA shows a CPU as one device unless it is told otherwise, before it starts.
    """
    import jax

    decided = (
        "JAX_NUM_CPU_DEVICES" in os.environ
        or "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    )
    if devices != "all" and devices > 1 and not decided:
        # Where XLA has started already, `mesh` counts what there is.
        with suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", devices)


def mesh(devices: Devices, scenarios: int) -> "Mesh | None":
    """A mesh with one axis, of the same number of devices from each process; None for one device.

    Args:
        devices: how many of each process.
        scenarios: stepped side by side in one iteration; each device takes an equal share.

    Raises:
        UserError: there are too few devices, or scenarios cannot be dealt out equally.
    """
    import jax
    from jax.sharding import AxisType

    from descant.train.collect import AXIS

    everywhere = [jax.local_devices(process) for process in range(jax.process_count())]
    fewest = min(map(len, everywhere))
    count = fewest if devices == "all" else devices
    if count > fewest:
        raise UserError(
            f"--devices: expected at most {fewest}, the {jax.default_backend()} devices that are "
            f"visible, got {count}."
        )
    chosen = [device for local in everywhere for device in local[:count]]
    if scenarios % len(chosen):
        raise UserError(
            f"train.rollouts: expected a multiple of the {len(chosen)} devices, so that each takes "
            f"an equal share, got {scenarios}."
        )
    if len(chosen) == 1:
        return None
    return jax.make_mesh((len(chosen),), (AXIS,), axis_types=(AxisType.Auto,), devices=chosen)
