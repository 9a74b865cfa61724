import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from descant.core.errors import UserError
from descant.domains.cloud import table

NODES = b"name,model,gpu,cpu,memory_gib,disk_gib\nbig,T4,2,64,256,1000\nsmall,,0,8,31.9999,0\n"
JOBS = b"""name,arrival,duration,cpu_milli,memory_mib,gpu_milli,disk_gib
j1,100.5,60,1500,2048,250,0.5
j0,40,3600,64000,1024.2,2000,0
j2,200,0.25,0.01,0,0,0
"""


def small(folder, nodes=NODES, jobs=JOBS, share=0.0):
    (folder / "nodes.csv").write_bytes(nodes)
    (folder / "jobs.csv").write_bytes(jobs)
    return table.read(folder / "nodes.csv", folder / "jobs.csv", max_reject_share=share)


def test_units_meet_in_whole_numbers(tmp_path):
    trace, report = small(tmp_path)
    assert trace.resources == ("cpu", "memory", "gpu", "disk")
    assert trace.units == ("millicore", "MiB", "milli-GPU", "MiB")
    assert trace.names == ("big", "small")
    assert trace.model == ("T4", "")
    assert trace.capacity.tolist() == [
        [64_000, 262_144, 2000, 1_024_000],
        [8_000, 32_767, 0, 0],
    ]
    # In order of arrival, seconds since the first; parts of a MiB or a millicore round up.
    assert trace.time.tolist() == [0.0, 60.5, 160.0]
    assert trace.demand.tolist() == [
        [64_000, 1025, 2000, 0],
        [1500, 2048, 250, 512],
        [1, 0, 0, 0],
    ]
    assert trace.duration.tolist() == [3600, 60, 0.25]
    assert trace.source["first_arrival"] == 40
    assert (report.rejects, report.notes) == ((), ())


def test_decimal_cores_are_exact(tmp_path):
    values = [k / 1000 for k in range(1, 4000)]
    jobs = "name,arrival,duration,cpu\n" + "".join(f"{v},0,1,{v}\n" for v in values)
    trace, _ = small(tmp_path, b"name,cpu\na,4\n", jobs.encode())
    assert trace.demand[:, 0].tolist() == list(range(1, 4000))
    assert trace.model == ("",)


def test_any_resource_works(tmp_path):
    trace, _ = small(
        tmp_path, b"name,licences,cpu\na,3,1\n", b"name,cpu,licences,arrival,duration\nj,1,2,0,5\n"
    )
    assert (trace.resources, trace.units) == (("cpu", "licences"), ("millicore", "milli-licences"))
    assert trace.demand.tolist() == [[1000, 2000]]


@pytest.mark.parametrize(
    ("nodes", "jobs", "words"),
    [
        ("name,cpu", "name,duration,cpu", ["jobs.csv: column 'arrival' is missing"]),
        ("cpu", "name,arrival,duration,cpu", ["nodes.csv: column 'name' is missing"]),
        ("name", "name,arrival,duration", ["a column for a resource is missing"]),
        ("name,cpu,cpu", "name,arrival,duration,cpu", ["column 'cpu' stands 2 times"]),
        ("name,cpu,cpu_milli", "name,arrival,duration,cpu", ["resource 'cpu' has 2 columns"]),
        ("name,memory", "name,arrival,duration,memory", ["needs a unit: memory_gib"]),
        (
            "name,memory_gb",
            "name,arrival,duration,memory_mib",
            ["'memory_gb' is not known. Did you mean 'memory_gib'?"],
        ),
        ("name,CPU", "name,arrival,duration,cpu", ["'CPU' is not known", "small letters"]),
        (
            "name,cpu,gpu",
            "name,arrival,duration,cpu,gpus",
            [
                "column 'gpus' has no counterpart in",
                "Did you mean 'gpu'?",
                "column 'gpu' has no counterpart in",
            ],
        ),
        ("name,cpu", "name,arrivals,arrival,duration,cpu", ["Did you mean 'arrival'?"]),
        ("name,x_mib", "name,arrival,duration,x_milli", ["cannot be compared with 'x_mib'"]),
    ],
)
def test_headers_that_do_not_match_are_refused(tmp_path, nodes, jobs, words):
    with pytest.raises(UserError) as caught:
        small(tmp_path, nodes.encode(), jobs.encode())
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("job", "column"),
    [
        (b"j,0,0,1,1,0,0", "duration"),
        (b"j,0,-5,1,1,0,0", "duration"),
        (b"j,0,1e-300,1,1,0,0", "duration"),
        (b"j,0,1e300,1,1,0,0", "duration"),
        (b"j,-1,1,1,1,0,0", "arrival"),
        (b"j,1700000000000,1,1,1,0,0", "arrival"),
        (b"j,0,1,2147483648,1,0,0", "cpu_milli"),
        (b"j,0,1,64001,1,0,0", "cpu_milli"),
        (b"j,0,1,1,1,0,2097152", "disk_gib"),
        (b"j,0,1,0,0,0,0", ""),
        (b"j,0,1,64000,1,0", ""),
    ],
)
def test_impossible_jobs_are_rejected(tmp_path, job, column):
    _, report = small(tmp_path, jobs=JOBS + job + b"\n", share=0.5)
    (reject,) = report.rejects
    assert (reject.line, reject.column) == (5, column)


def test_nodes_that_offer_nothing_are_rejected(tmp_path):
    _, report = small(tmp_path, nodes=NODES + b"none,,0,0.0001,0,0\n", share=0.5)
    (reject,) = report.rejects
    assert (reject.file, reject.line) == (str(tmp_path / "nodes.csv"), 4)


WORDS = (
    "name",
    "model",
    "arrival",
    "duration",
    "cpu",
    "cpu_milli",
    "memory_gib",
    "memory",
    "x",
    "",
)
HEADERS = st.one_of(
    st.just(["name", "arrival", "duration", "cpu", "x"]),
    st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=4)), max_size=6),
)
CELLS = st.one_of(
    st.sampled_from(["", "0", "1", "0.1", "a", "b", "nan", "-1", "1e9", "1e400", '"']),
    st.floats().map(str),
    st.text(max_size=6),
)


@settings(max_examples=200, deadline=None)
@given(header=HEADERS, body=st.lists(st.lists(CELLS, min_size=4, max_size=6), max_size=6))
def test_whatever_the_table_rows_add_up(tmp_path_factory, header, body):
    data = "\n".join(",".join(row) for row in [header, *body]).encode("utf-8", "surrogatepass")
    nodes = b"name,cpu,x\na,1,1\nb,1e6,3\n"
    folder = tmp_path_factory.mktemp("table")
    for pair in ((nodes, data), (data, JOBS), (data, data)):
        try:
            trace, report = small(folder, *pair, share=1.0)
        except UserError as error:
            assert str(error)
            continue
        rows_in = len([line for line in pair[1].split(b"\n")[1:] if line.strip()])
        count = report.rows["jobs"]
        assert count.rows_in == rows_in == count.accepted + count.rejected
        assert count.accepted == len(trace.time)
