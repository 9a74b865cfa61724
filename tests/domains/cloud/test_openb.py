import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from descant.core.errors import UserError
from descant.domains.cloud import openb
from descant.domains.cloud.trace import summary

DATA = Path(__file__).parents[3] / "data" / "openb"
NODES = b"""sn,cpu_milli,memory_mib,gpu,model
n0,32000,262144,0,
n1,96000,393216,8,G2
n2,64000,262144,2,P100
"""
PODS = b"""name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,\
deletion_time,scheduled_time
p0,12000,16384,1,1000,,LS,Running,0,12537496,0
p1,6000,12288,1,460,V100M16|V100M32,LS,Running,427061,12902960,427061
p2,88000,327680,8,1000,,Burstable,Failed,500000,500001,500000
p3,4000,8192,0,0,,BE,Pending,600000,600100,
"""


@pytest.fixture(scope="module")
def real():
    return openb.read(DATA / "openb_node_list_all_node.csv", DATA / "openb_pod_list_default.csv")


def small(folder, nodes=NODES, pods=PODS, share=1.0):
    (folder / "nodes.csv").write_bytes(nodes)
    (folder / "pods.csv").write_bytes(pods)
    return openb.read(folder / "nodes.csv", folder / "pods.csv", max_reject_share=share)


def test_real_rows_are_all_accounted_for(real):
    _, report = real
    counts = {k: (c.rows_in, c.accepted, c.rejected) for k, c in report.rows.items()}
    assert counts == {"nodes": (1523, 1523, 0), "jobs": (8152, 8151, 1)}
    (reject,) = report.rejects
    assert (reject.line, reject.column, reject.value) == (7287, "deletion_time", "12774042")
    assert reject.reason == "expected a time after the creation at 12774042"


def test_real_rows_read_by_hand(real):
    trace, _ = real
    assert trace.resources == ("cpu", "memory", "gpu")
    assert trace.names[0] == "openb-node-0000"
    assert trace.capacity[0].tolist() == [32_000, 262_144, 0]
    for row, time, demand, duration in (
        (0, 0, [12_000, 16_384, 1000], 12_537_496),  # line 2
        (1, 427_061, [6_000, 12_288, 460], 12_475_899),  # line 3
        (17, 9_437_497, [88_000, 327_680, 8000], 1_332_357),  # line 19, eight GPUs
        (1523, 10_611_842, [14_000, 0, 1000], 3_986),  # line 1525, no memory
        (-1, 12_901_761, [3_152, 5_600, 590], 31),  # line 8153
    ):
        assert trace.time[row] == time
        assert trace.demand[row].tolist() == demand
        assert trace.duration[row] == duration


def test_real_totals(real):
    """Totals that Weng et al. and a spreadsheet give: 6,212 GPUs, 27 shapes of nodes."""
    trace, _ = real
    numbers = summary(trace)
    total = {name: of["capacity"] for name, of in numbers["resources"].items()}
    assert total == {"cpu": 125_514_000, "memory": 612_028_416, "gpu": 6_212_000}
    assert numbers["node_shapes"] == 27
    assert numbers["duration_quartiles"] == [167, 540, 1972.5]
    with_gpu = trace.capacity[:, 2] > 0
    assert with_gpu.sum() == 1213
    assert trace.capacity[with_gpu, 0].sum() == 107_018_000
    assert all(bool(model) == gpu for model, gpu in zip(trace.model, with_gpu, strict=True))


def test_real_notes_say_what_is_left_out(real):
    _, report = real
    notes = " ".join(report.notes)
    for fact in ("115.9 of the 149.3 days", "3,077 jobs", "0 jobs name", "896 jobs", "34 jobs end"):
        assert fact in notes


def test_small_files(tmp_path):
    trace, report = small(tmp_path, share=0.0)
    assert trace.names == ("n0", "n1", "n2")
    assert trace.model == ("", "G2", "P100")
    assert trace.demand[:, 2].tolist() == [1000, 460, 8000, 0]
    assert trace.duration.tolist() == [12_537_496, 12_475_899, 1, 100]
    assert trace.source["jobs"]["file"] == "pods.csv"
    assert "1 jobs name the models" in " ".join(report.notes)


def test_jobs_are_put_in_order_of_arrival(tmp_path):
    header, *lines = PODS.splitlines(keepends=True)
    trace, _ = small(tmp_path, pods=header + b"".join(reversed(lines)))
    assert trace.time.tolist() == [0, 427_061, 500_000, 600_000]
    assert trace.demand[:, 2].tolist() == [1000, 460, 8000, 0]


@pytest.mark.parametrize(
    ("pod", "column"),
    [
        (b"p,1000,1,1,0,,LS,Running,0,9,0", "gpu_milli"),
        (b"p,1000,1,1,1001,,LS,Running,0,9,0", "gpu_milli"),
        (b"p,1000,1,0,500,,LS,Running,0,9,0", "gpu_milli"),
        (b"p,1000,1,2,500,,LS,Running,0,9,0", "gpu_milli"),
        (b"p,1000,1,9,1000,,LS,Running,0,9,0", "num_gpu"),
        (b"p,1000,1,1.5,1000,,LS,Running,0,9,0", "num_gpu"),
        (b"p,-1,1,1,1000,,LS,Running,0,9,0", "cpu_milli"),
        (b"p,96001,1,1,1000,,LS,Running,0,9,0", "cpu_milli"),
        (b"p,2147483648,1,1,1000,,LS,Running,0,9,0", "cpu_milli"),
        (b"p,80000,1,4,1000,,LS,Walking,0,9,0", "pod_phase"),
        (b"p,1000,1,1,1000,,LS,Running,9,8,9", "deletion_time"),
        (b"p,1000,1,1,1000,,LS,Running,9,9,9", "deletion_time"),
        (b"p,1000,1,1,1000,,LS,Running,0,,0", "deletion_time"),
        (b"p,1000,1,1,1000,,LS,Running,5,9,4", "scheduled_time"),
        (b"p,1000,1,1,1000,,LS,Running,-5,9,4", "creation_time"),
        (b"p,1000,1,1,1000,,LS,Running,nan,9,4", "creation_time"),
        (b"p,1000,1,1,1000,,LS,Running,0,1700000000000,4", "deletion_time"),
        (b"p,0,0,0,0,,LS,Running,0,9,0", ""),
        (b"p,96000,262145,2,1000,,LS,Running,0,9", ""),
        (b"p0,1000,1,1,1000,,LS,Running,0,9,0", "name"),
    ],
)
def test_impossible_pods_are_rejected(tmp_path, pod, column):
    _, report = small(tmp_path, pods=PODS + pod + b"\n")
    (reject,) = report.rejects
    assert (reject.line, reject.column) == (6, column)
    assert report.rows["jobs"].accepted == 4


def test_a_job_too_big_for_every_node_together_is_rejected(tmp_path):
    nodes = NODES.replace(b"n1,96000,393216,8,G2", b"n1,8000,393216,8,G2")
    _, report = small(tmp_path, nodes=nodes)
    (reject,) = report.rejects
    assert (reject.line, reject.column) == (4, "cpu_milli")
    pod = b"p4,64000,4096,8,1000,,LS,Running,0,9,0\n"
    _, report = small(tmp_path, nodes=nodes, pods=PODS + pod)
    assert [(r.line, r.column) for r in report.rejects] == [(4, "cpu_milli"), (6, "")]


def test_headers_of_both_files_are_checked_at_once(tmp_path):
    with pytest.raises(UserError) as caught:
        small(tmp_path, NODES.replace(b"gpu,", b"gpus,"), PODS.replace(b"gpu_spec", b"gpu_specs"))
    message = str(caught.value)
    assert "nodes.csv: column 'gpus' is not known. Did you mean 'gpu'?" in message
    assert "pods.csv: column 'gpu_specs' is not known. Did you mean 'gpu_spec'?" in message


def test_too_many_rejects_stop_the_import(tmp_path):
    bad = b"".join(b"q%d,-1,1,0,0,,LS,Running,0,9,0\n" % i for i in range(5))
    with pytest.raises(UserError, match="5 of 9 rows cannot be used"):
        small(tmp_path, pods=PODS + bad, share=0.5)
    assert small(tmp_path, pods=PODS + bad, share=0.6)[1].rows["jobs"].rejected == 5


def mutated(data, draw):
    data = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 8))):
        at = draw.randrange(len(data) + 1)
        to = min(len(data), at + draw.randrange(1, 40))
        match draw.randrange(7):
            case 0:
                data[at:to] = b""
            case 1:
                data[at:at] = draw.randbytes(draw.randrange(1, 6))
            case 2:
                data[at:at] = data[at:to]
            case 3:
                data[at : at + 1] = bytes([draw.choice(b'\0\n\r,"-.9e\xff\x1b |')])
            case 4:
                words = (b"nan", b"-1", b"1e999", b"9" * 400, b'"', b",,", b"\n\n", b"\xef\xbb\xbf")
                data[at:to] = draw.choice(words)
            case 5 if len(data) > at:
                data[at] ^= 1 << draw.randrange(8)
            case _:
                del data[at:]
                data.extend(b"\n" * draw.randrange(2))
    return bytes(data)


def adds_up(folder, nodes, pods):
    """Whether the files can be read; if so every row is accounted for, if not it is a UserError."""
    try:
        trace, report = small(folder, nodes, pods)
    except UserError as error:
        assert str(error)
        assert len(str(error)) < 5000
        return False
    for kind, data, taken in (("nodes", nodes, trace.names), ("jobs", pods, trace.time)):
        count = report.rows[kind]
        lines = [line for line in data.split(b"\n")[1:] if line.strip()]
        refused = [r for r in report.rejects if r.file == count.file]
        assert count.rows_in == len(lines) == count.accepted + count.rejected
        assert (count.accepted, count.rejected) == (len(taken), len(refused))
        assert all(r.reason and r.line >= 2 and r.value.isprintable() for r in refused)
    return True


def test_ten_thousand_mutated_files(tmp_path):
    read = 0
    for seed in range(10_000):
        draw = random.Random(seed)
        nodes, pods = NODES, PODS
        if draw.random() < 0.4:
            nodes = mutated(nodes, draw)
        else:
            pods = mutated(pods, draw)
        try:
            read += adds_up(tmp_path, nodes, pods)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {nodes!r} {pods!r}") from error
    assert 2000 < read < 9900


CELLS = st.one_of(
    st.sampled_from(["", "0", "1", "8", "1000", "nan", "-1", "1e9", "1e400", "Running", "p0", "٣"]),
    st.integers(-5, 2**33).map(str),
    st.text(max_size=8).map(lambda text: text.replace("\n", "")),
)


@settings(max_examples=150, deadline=None)
@given(cells=st.lists(st.lists(CELLS, min_size=10, max_size=12), max_size=4), tail=st.binary())
def test_whatever_the_cells_rows_add_up(tmp_path_factory, cells, tail):
    lines = "\n".join(",".join(row) for row in cells).encode("utf-8", "surrogatepass")
    adds_up(tmp_path_factory.mktemp("rows"), NODES, PODS + lines + b"\n" + tail)


@settings(max_examples=100, deadline=None)
@given(nodes=st.binary(), pods=st.binary())
def test_whatever_the_bytes_there_is_an_answer(tmp_path_factory, nodes, pods):
    adds_up(tmp_path_factory.mktemp("bytes"), nodes, pods)


def test_arrays_are_the_traces(real):
    trace, _ = real
    assert trace.capacity.dtype == trace.demand.dtype == np.int32
    assert trace.time.dtype == np.float64
    assert (np.diff(trace.time) >= 0).all()
    fits = (trace.demand[:, None] <= np.unique(trace.capacity, axis=0)).all(-1).any(-1)
    assert fits.all()
