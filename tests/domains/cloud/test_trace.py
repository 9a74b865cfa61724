import errno
import io
import json
import random
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from descant.core.errors import PlaceError, UserError
from descant.domains.cloud import trace as module
from descant.domains.cloud.trace import Trace, load, save, summary

SMALL = Trace(
    resources=("cpu", "gpu"),
    units=("millicore", "milli-GPU"),
    names=("a", "b", "ü"),
    model=("", "T4", ""),
    capacity=np.array([[8000, 0], [4000, 2000], [8000, 0]], np.int32),
    time=np.array([0.0, 0.5, 100.0]),
    demand=np.array([[1000, 0], [500, 250], [4000, 2000]], np.int32),
    duration=np.array([10.0, 200.0, 100.0], np.float32),
    source={"format": "csv", "notes": ["one", 1e-05]},
)


def same(a, b):
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        if name in module.ARRAYS
        else getattr(a, name) == getattr(b, name)
        for name in a.__dataclass_fields__
    )


def test_what_is_saved_is_loaded(tmp_path):
    save(SMALL, tmp_path / "t")
    assert same(load(tmp_path / "t"), SMALL)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t"]
    assert sorted(p.name for p in (tmp_path / "t").iterdir()) == sorted(module.FILES)


def test_the_order_of_an_array_in_memory_is_no_matter(tmp_path):
    turned = replace(SMALL, capacity=np.asfortranarray(SMALL.capacity))
    assert not turned.capacity.flags.c_contiguous
    save(turned, tmp_path / "t")
    assert same(load(tmp_path / "t"), SMALL)


def test_saving_is_deterministic(tmp_path):
    save(SMALL, tmp_path / "a")
    save(SMALL, tmp_path / "b")
    for name in module.FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_summary_by_hand():
    # Span 0 to 200.5 s; CPU 1 x 10 + 0.5 x 200 + 4 x 100 = 510 core seconds.
    numbers = summary(SMALL)
    assert numbers["nodes"] == 3
    assert numbers["node_shapes"] == 2
    assert numbers["jobs"] == 3
    assert numbers["span_days"] == pytest.approx(200.5 / 86_400)
    assert numbers["duration_quartiles"] == [55.0, 100.0, 150.0]
    cpu = numbers["resources"]["cpu"]
    assert (cpu["unit"], cpu["capacity"]) == ("millicore", 20_000)
    assert cpu["load"] == pytest.approx(510_000 / 200.5)
    assert cpu["utilisation"] == pytest.approx(510 / 200.5 / 20)


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("time", np.array([0.0, 2.0, 1.0]), "time"),
        ("time", np.array([0.0, 1.0, np.inf]), "time"),
        ("time", np.array([0.0, 1.0, 2.0], np.float32), "time"),
        ("duration", np.array([0.0, 1.0, 1.0], np.float32), "duration"),
        ("duration", np.array([np.nan, 1.0, 1.0], np.float32), "duration"),
        ("demand", -SMALL.demand, "demand"),
        ("demand", SMALL.demand[:2], "demand"),
        ("capacity", SMALL.capacity.astype(np.int64), "capacity"),
        ("names", (), "node"),
        ("names", ("a", "b", 3), "text"),
        ("model", ("",), "model"),
        ("units", ("millicore",), "resources"),
        ("resources", ("cpu", "cpu"), "resources"),
    ],
)
def test_a_trace_that_is_none_cannot_be_made(field, value, word):
    with pytest.raises(ValueError, match=word):
        replace(SMALL, **{field: value})


def test_one_flipped_bit_never_loads_as_something_else(tmp_path):
    seed = 7
    save(SMALL, tmp_path / "t")
    draw = random.Random(seed)
    for name in ("trace.npz", "trace.json"):
        path = tmp_path / "t" / name
        good = path.read_bytes()
        refused = 0
        for _ in range(1500):
            bad = bytearray(good)
            at, bit = draw.randrange(len(bad)), draw.randrange(8)
            bad[at] ^= 1 << bit
            path.write_bytes(bad)
            try:
                assert same(load(tmp_path / "t"), SMALL), f"seed {seed}: {name} byte {at} bit {bit}"
            except UserError as error:
                assert "t:" in str(error)
                refused += 1
        assert refused > 1490
        path.write_bytes(good)
    assert same(load(tmp_path / "t"), SMALL)


@pytest.mark.parametrize("name", ["trace.npz", "trace.json"])
def test_truncated_missing_and_foreign_files_are_refused(tmp_path, name):
    save(SMALL, tmp_path / "t")
    path = tmp_path / "t" / name
    good = path.read_bytes()
    for bad in (b"", good[:-1], good[: len(good) // 2], good + b"x", b"[" * 100_000, b"\0" * 99):
        path.write_bytes(bad)
        with pytest.raises(UserError):
            load(tmp_path / "t")
    path.unlink()
    with pytest.raises(UserError):
        load(tmp_path / "t")
    path.mkdir()
    with pytest.raises(UserError):
        load(tmp_path / "t")


def test_what_is_no_trace_is_refused_by_name(tmp_path):
    (tmp_path / "jobs.csv").write_text("name\n")
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "jobs.csv", tmp_path / ("x" * 999)):
        with pytest.raises(UserError, match=r"^/"):
            load(path)


def sealed(folder, packed, **changes):
    """A folder whose checksums are right although its content is hostile."""
    about = json.loads((folder / "trace.json").read_text())
    about["arrays"] |= {"bytes": len(packed), "sha256": module.hashlib.sha256(packed).hexdigest()}
    about |= changes
    about["sha256"] = module._seal(about)
    (folder / "trace.npz").write_bytes(packed)
    (folder / "trace.json").write_text(json.dumps(about))


def packed_with(compression=zipfile.ZIP_STORED, **members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name in module.ARRAYS:
            stream = io.BytesIO()
            np.save(stream, getattr(SMALL, name))
            archive.writestr(f"{name}.npy", members.get(name, stream.getvalue()))
    return buffer.getvalue()


def test_hostile_archives_with_right_checksums_are_refused(tmp_path, monkeypatch):
    def unpickle(*_args, **_kwargs):
        raise AssertionError("unpickled")

    monkeypatch.setattr("pickle.loads", unpickle)
    monkeypatch.setattr("pickle.load", unpickle)
    objects, huge = io.BytesIO(), io.BytesIO()
    np.save(objects, np.array([{"a": 1}, 2, 3], object), allow_pickle=True)
    np.lib.format.write_array_header_1_0(
        huge, {"descr": "<f8", "fortran_order": False, "shape": (2**40,)}
    )
    cases = {
        "object array": packed_with(time=objects.getvalue()),
        "header of 8 TB": packed_with(time=huge.getvalue()),
        "compressed": packed_with(zipfile.ZIP_DEFLATED),
        "no archive": b"PK\x03\x04 no",
        "empty member": packed_with(time=b""),
    }
    for what, packed in cases.items():
        save(SMALL, tmp_path / what)
        sealed(tmp_path / what, packed)
        with pytest.raises(UserError, match="damaged"):
            load(tmp_path / what)


def test_hostile_descriptions_with_right_checksums_are_refused(tmp_path):
    save(SMALL, tmp_path / "t")
    packed = (tmp_path / "t" / "trace.npz").read_bytes()
    for change in (
        {"format": 2},
        {"kind": "policy"},
        {"names": None},
        {"names": [1, 2, 3]},
        {"source": []},
        {"resources": ["cpu"]},
        {"arrays": 3},
        {"arrays": {"bytes": len(packed), "sha256": 5, "shapes": {}}},
    ):
        save(SMALL, tmp_path / "t", replace=True)
        sealed(tmp_path / "t", packed, **change)
        with pytest.raises(UserError, match="damaged"):
            load(tmp_path / "t")


def test_other_peoples_folders_are_left_alone(tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.txt").write_text("words")
    link = tmp_path / "link"
    link.symlink_to(folder)
    for out in (folder, folder / "chapter.txt", link):
        with pytest.raises(UserError):
            save(SMALL, out, replace=True)
    assert [p.name for p in folder.iterdir()] == ["chapter.txt"]
    assert (folder / "chapter.txt").read_text() == "words"


def test_a_trace_is_replaced_only_when_asked(tmp_path):
    out = tmp_path / "t"
    out.mkdir()
    save(SMALL, out)
    other = replace(SMALL, names=("x", "y", "z"))
    with pytest.raises(UserError, match="--replace"):
        save(other, out)
    assert same(load(out), SMALL)
    save(other, out, replace=True)
    assert same(load(out), other)
    (out / "trace.npz").write_bytes(b"damaged")
    save(SMALL, out, replace=True)
    assert same(load(out), SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


def test_a_failing_disk_leaves_the_old_trace_or_none(tmp_path, monkeypatch):
    """Whatever call fails, the folder is absent or one whole trace, and nothing else is left."""
    other = replace(SMALL, names=("x", "y", "z"))
    calls = {"left": 0}

    def failing(function):
        def call(*args, **kwargs):
            calls["left"] -= 1
            if calls["left"] == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(module.os, "fsync", failing(module.os.fsync))
    for method in ("mkdir", "rename", "open"):
        monkeypatch.setattr(module.Path, method, failing(getattr(module.Path, method)))
    for before in (None, SMALL):
        for n in range(1, 40):
            out = tmp_path / f"{before is None}{n}" / "t"
            calls["left"] = 0
            if before is not None:
                save(before, out)
            calls["left"] = n
            try:
                save(other, out, replace=True)
            except PlaceError as error:
                assert "No space left" in str(error)
            else:
                assert n > 5
                break
            finally:
                calls["left"] = 0
            left = [p.name for p in out.parent.iterdir()] if out.parent.exists() else []
            if left:
                assert left == ["t"]
                assert same(load(out), other) or (before and same(load(out), before))
            else:
                assert before is None
        else:
            pytest.fail("no save went through")
