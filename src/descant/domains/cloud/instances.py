"""The machines and jobs of the paper's cluster; Yang & Liu (2026), appendix H.1 and Table 4."""

import numpy as np

RESOURCES = ("cpu", "memory")
UNITS = {"cpu": 1000, "memory": 1024, "gpu": 1000}
"""Integer units in one vCPU, one GiB and one GPU: loads are exact sums of millicores, MiB,
milli-GPUs."""

# vCPU, GB, CPU efficiency, memory efficiency, share of the fleet in per cent.
INSTANCES = {
    "m4.8xlarge": (32, 128, 0.70, 0.68, 10),
    "t3.2xlarge": (16, 64, 0.72, 0.70, 3),
    "t3a.2xlarge": (16, 64, 0.75, 0.72, 2),
    "m5.8xlarge": (32, 128, 0.95, 0.93, 20),
    "c5.18xlarge": (64, 128, 0.98, 0.93, 10),
    "c5.12xlarge": (48, 96, 0.97, 0.93, 8),
    "r5.8xlarge": (32, 256, 0.87, 0.92, 9),
    "r5.6xlarge": (24, 192, 0.84, 0.93, 7),
    "m5n.12xlarge": (48, 192, 0.96, 0.92, 6),
    "m6i.8xlarge": (32, 128, 1.06, 0.95, 15),
    "c5n.18xlarge": (64, 256, 1.08, 0.95, 8),
    "c6i.32xlarge": (96, 384, 1.08, 0.96, 2),
}

_TABLE = np.array(list(INSTANCES.values()))
CAPACITY = (_TABLE[:, :2] * [UNITS["cpu"], UNITS["memory"]]).astype(np.int32)
EFFICIENCY = np.rint(_TABLE[:, 2:4] * 1000).astype(np.int32)
"""Per mille, so that ceil(duration / efficiency) is integer arithmetic and exact."""
SHARE = _TABLE[:, 4] / _TABLE[:, 4].sum()

CPU_SHARE = 0.6
"""Share of CPU-intensive jobs; the others are memory-intensive."""
# CPU-intensive, memory-intensive.
SHAPE = (1.7, 2.2)
SCALE = (0.6, 0.4)
"""Pareto variable of cores: shape, and smallest value before the clip."""
CORES = ((0.5, 20.0), (0.2, 8.0))
"""Clip of cores."""
PER_CORE = ((1.5, 3.0), (6.0, 12.0))
"""Range of GB per core."""
MEMORY = ((0.5, 64.0), (1.0, 128.0))
"""Clip of GB."""
DURATION = (3.0, 0.5, (5.0, 150.0))
"""Mean and deviation of the log of a duration in ticks, and its clip."""

MEAN_DEMAND = (1.119, 4.47)
"""Mean cores and GB of a job after clipping, from 2 million samples; the true-load rate uses it."""
MEAN_DURATION = 22.76
"""Mean ticks of a job before they are cut to whole ones, from the same samples; rounding a stay up
gives back on average what the cut took."""

TIDE = 0.3
PERIOD = 1000
NOISE = 0.1
"""The arrival rate swings by `TIDE` over `PERIOD` ticks with Gaussian noise of deviation
`NOISE`."""
