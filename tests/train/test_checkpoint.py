import errno
import hashlib
import importlib.util
import io
import json
import os
import pickle
import resource
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from descant.core.errors import Diverged, PlaceError, UserError
from descant.train.checkpoint import (
    Checkpoint,
    CheckpointError,
    clear,
    digest,
    flatten,
    latest,
    load,
    restore,
    save,
)
from descant.train.storage import DISK, Storage

ERRORS = [errno.ENOSPC, errno.EIO, errno.EINTR, errno.EACCES, errno.EDQUOT, None]


def state(step: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(step)
    return {
        "actor/weight": rng.normal(size=(5, 3)).astype(np.float32),
        "actor/bias": rng.normal(size=3).astype(ml_dtypes.bfloat16),
        "count": np.array(step, np.int32),
        "done": rng.random(4) < 0.5,
        "key<threefry2x32>": rng.integers(2**32, size=2, dtype=np.uint32),
    }


def put(folder: Path, *steps: int, keep: int = 3) -> None:
    for step in steps:
        save(folder, step, state(step), {"step": step}, keep=keep)


def newest(folder: Path) -> Checkpoint:
    found, _ = latest(folder)
    assert found
    return found


def holds(folder: Path, *steps: int) -> bool:
    return DISK.names(folder) == [f"{step:08d}" for step in steps]


# What is saved is what is loaded.


def test_what_is_saved_is_loaded(tmp_path):
    path = save(tmp_path, 10, state(10), {"seed": 3, "rates": (0.1, 0.2)}, keep=3)
    assert path == tmp_path / "00000010"
    found = load(path)
    assert (found.step, found.metadata) == (10, {"seed": 3, "rates": [0.1, 0.2]})
    assert digest(found.leaves) == digest(state(10))


scalars = st.sampled_from(
    [
        np.dtype(name)
        for name in ("bool", "int8", "int64", "uint32", "float16", "<f4", ">f4", "float64")
    ]
)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_shape_and_dtype_survives(tmp_path_factory, data):
    dtype = data.draw(scalars)
    finite = {"allow_nan": False, "allow_infinity": False} if dtype.kind == "f" else {}
    shape = data.draw(arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    leaf = data.draw(arrays.arrays(dtype, shape, elements=finite or None))
    found = load(save(tmp_path_factory.mktemp("any"), 0, {"x": leaf.T}, {}, keep=1)).leaves["x"]
    assert digest({"x": found}) == digest({"x": leaf.T})
    np.testing.assert_array_equal(found, leaf.T)


def test_equal_states_are_equal_files(tmp_path):
    one, other = (save(tmp_path / name, 1, state(1), {}, keep=1) for name in "ab")
    for name in ("state.npz", "manifest.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_numpy_reads_the_arrays_without_us(tmp_path):
    path = save(tmp_path, 1, state(1), {}, keep=1)
    with np.load(path / "state.npz", allow_pickle=False) as found:
        np.testing.assert_array_equal(found["actor/weight"], state(1)["actor/weight"])


def test_digest_sees_names_dtypes_shapes_and_values():
    x = np.arange(4, dtype=np.int32)
    leaves = [
        {"x": x},
        {"y": x},
        {"x": x.view(np.uint32)},
        {"x": x.reshape(2, 2)},
        {"x": x[::-1]},
        {"x": x[:2], "y": x[2:]},
    ]
    assert len({digest(each) for each in leaves}) == len(leaves)
    assert digest({"x": x, "y": x}) == digest({"y": x, "x": x})


def test_only_the_newest_are_kept(tmp_path):
    put(tmp_path, 10, 20, 30, 40, keep=2)
    assert holds(tmp_path, 30, 40)
    put(tmp_path, 50, keep=1)
    assert holds(tmp_path, 50)


def test_the_one_just_saved_stays_even_if_others_are_newer(tmp_path):
    put(tmp_path, 90)
    put(tmp_path, 10, 20, keep=1)
    assert holds(tmp_path, 20, 90)


def test_saving_the_same_again_changes_nothing(tmp_path):
    put(tmp_path, 10)
    before = (tmp_path / "00000010" / "state.npz").stat().st_ino
    put(tmp_path, 10)
    assert holds(tmp_path, 10)
    assert (tmp_path / "00000010" / "state.npz").stat().st_ino == before


class Unsynced(Storage):
    def call(self, operation, /, *args):
        if operation is os.fsync:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().call(operation, *args)


def test_saving_the_same_again_still_promises_that_it_lasts(tmp_path):
    put(tmp_path, 10)
    with pytest.raises(PlaceError, match=r"Saving checkpoint 10 in .* failed: Input/output error"):
        save(tmp_path, 10, state(10), {"step": 10}, keep=3, storage=Unsynced())


def test_a_different_state_of_the_same_step_moves_the_old_one_aside(tmp_path):
    save(tmp_path, 10, state(99), {}, keep=3)
    put(tmp_path, 10)
    assert DISK.names(tmp_path) == ["00000010", "quarantine-00000010-1"]
    assert digest(load(tmp_path / "00000010").leaves) == digest(state(10))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_values_that_are_not_finite_are_never_saved(tmp_path, value, dtype):
    leaf = np.array([0, value, 1], dtype)
    with pytest.raises(Diverged, match="1 of 3 values of 'actor/mean' are not finite"):
        save(tmp_path, 1, {"actor/mean": leaf}, {}, keep=1)
    assert not DISK.names(tmp_path)


@pytest.mark.parametrize(
    ("leaves", "metadata", "reason"),
    [
        ({"x": np.array([{}], object)}, {}, "'x' has dtype object"),
        ({"x": np.array(["a"])}, {}, "'x' has dtype str"),
        ({"x": np.zeros(1, complex)}, {}, "'x' has dtype complex128"),
        ({"../x": np.zeros(1)}, {}, "not '../x'"),
        ({"/x": np.zeros(1)}, {}, "not '/x'"),
        ({"": np.zeros(1)}, {}, "not ''"),
        ({"a\0b": np.zeros(1)}, {}, "named like"),
        ({}, {"rate": float("nan")}, "metadata is not plain JSON"),
        ({}, {"path": Path()}, "metadata is not plain JSON"),
        ({}, {"text": "x" * 2**24}, "expected at most 16,777,216"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_name(tmp_path, leaves, metadata, reason):
    with pytest.raises(CheckpointError, match=reason):
        save(tmp_path, 1, leaves, metadata, keep=1)
    assert not DISK.names(tmp_path)


# R3: damage is noticed.


def load_benchmark():
    path = Path(__file__).parents[2] / "benchmarks" / "corrupt_checkpoints.py"
    spec = importlib.util.spec_from_file_location("corrupt_checkpoints", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_600_damaged_checkpoints_are_noticed(tmp_path):
    seed = 0
    found = load_benchmark().survey(600, seed, tmp_path)
    for kind, counts in found.items():
        assert counts.total() > 0, kind
        assert not counts["silently wrong"], (kind, seed)
        assert not counts["error"], (kind, seed)


def test_every_single_bit_of_the_manifest_counts(tmp_path):
    path = save(tmp_path, 1, {"x": np.zeros(2, np.float32)}, {}, keep=1) / "manifest.json"
    content = path.read_bytes()
    for bit in range(8 * len(content)):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(CheckpointError):
            load(path.parent)


@pytest.mark.parametrize(
    ("old", "new"), [(b"{\n", b"{ \n"), (b"{\n", b'{\n "step": 2,\n'), (b"}\n", b"}\n\n")]
)
def test_the_manifest_is_written_in_one_way_only(tmp_path, old, new):
    path = save(tmp_path, 1, {}, {}, keep=1) / "manifest.json"
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(CheckpointError, match="does not fit its content"):
        load(path.parent)


def test_a_bad_one_is_moved_aside_and_told(tmp_path):
    put(tmp_path, 10, 20)
    (tmp_path / "00000020" / "state.npz").unlink()
    found, messages = latest(tmp_path)
    assert found
    assert found.step == 10
    assert len(messages) == 1
    assert "00000020/state.npz cannot be read: No such file" in messages[0]
    assert "Moved aside to quarantine-00000020-1." in messages[0]
    put(tmp_path, 20)
    assert newest(tmp_path).step == 20


def test_quarantine_never_overwrites(tmp_path):
    for number in (1, 2, 3):
        put(tmp_path, 10)
        (tmp_path / "00000010" / "mark").write_text(str(number))
        (tmp_path / "00000010" / "state.npz").write_bytes(b"")
        assert latest(tmp_path)[0] is None
        assert (tmp_path / f"quarantine-00000010-{number}" / "mark").read_text() == str(number)


def test_strict_refuses_and_leaves_the_bad_one(tmp_path):
    put(tmp_path, 10, 20)
    (tmp_path / "00000020" / "manifest.json").write_bytes(b"{}")
    with pytest.raises(CheckpointError, match=r"00000020/manifest.json"):
        latest(tmp_path, strict=True)
    assert holds(tmp_path, 10, 20)


def test_readonly_leaves_the_folder_as_it_is(tmp_path):
    put(tmp_path, 10, 20)
    (tmp_path / "00000020" / "state.npz").write_bytes(b"")
    (tmp_path / ".partial-00000030").mkdir()
    before = sorted(tmp_path.rglob("*"))
    found, messages = latest(tmp_path, readonly=True)
    assert (found and found.step, len(messages)) == (10, 1)
    assert sorted(tmp_path.rglob("*")) == before


def test_no_folder_holds_no_checkpoint(tmp_path):
    assert latest(tmp_path / "none") == (None, [])


def test_other_names_in_the_folder_are_let_be(tmp_path):
    names = ["notes.txt", "12", "0000000030", "x0000010", ".hidden"]
    for name in names:
        (tmp_path / name).touch()
    put(tmp_path, 10)
    assert newest(tmp_path).step == 10
    assert set(names) <= set(DISK.names(tmp_path))


def test_a_newer_format_says_so_and_is_not_moved_aside(tmp_path):
    path = forge(tmp_path, {"x": ([2], "float32")}, npz({"x": np.zeros(2, np.float32)}), format=2)
    for read in (lambda: load(path), lambda: latest(tmp_path)):
        with pytest.raises(UserError, match="has format 2, this descant reads format 1"):
            read()
    assert holds(tmp_path, 7)


# R2: the process dies, and the power with it, at any call of a save.


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("before", ["nothing", "the same, damaged"])
def test_dying_anywhere_in_a_save_leaves_a_whole_newest(tmp_path, crashing, crash, seed, before):
    rng = np.random.default_rng(seed)
    nth, returned = 0, False
    while not returned:
        nth += 1
        folder, storage = tmp_path / str(nth), crashing(nth)
        put(folder, 10, 20)
        if before == "the same, damaged":
            put(folder, 30)
            (folder / "00000030" / "state.npz").write_bytes(b"")
        try:
            save(folder, 30, state(30), {"step": 30}, keep=2, storage=storage)
            returned = True
        except crash:
            pass
        storage.lose_power(rng)
        found, messages = latest(folder)
        where = f"seed {seed}, call {nth}"
        assert found, where
        assert found.step in ((30,) if returned else (20, 30)), where
        assert digest(found.leaves) == digest(state(found.step)), where
        assert bool(messages) <= (before != "nothing"), (where, messages)
        put(folder, 30, keep=2)
        assert newest(folder).step == 30, where
        assert not [name for name in DISK.names(folder) if name.startswith(".")], where
    assert nth > 20


# R4: any single call fails, until a run passes.


@pytest.mark.parametrize("number", ERRORS)
@pytest.mark.parametrize("before", ["nothing", "the same", "the same, damaged", "leftovers"])
def test_a_failing_call_is_told_at_once_and_never_tears_the_newest(
    tmp_path, faulty, number, before
):
    nth, finished = 0, False
    while not finished:
        nth += 1
        folder, storage = tmp_path / str(nth), faulty(nth, number)
        prepare(folder, before)
        try:
            save(folder, 30, state(30), {"step": 30}, keep=2, storage=storage)
            saved = True
        except PlaceError as error:
            assert storage.fired
            assert error.code == 3
            assert "checkpoint 30" in str(error) or "00000030" in str(error)
            saved = False
        found, messages = latest(folder)
        assert found, nth
        assert found.step in ((30,) if saved else (20, 30)), nth
        assert digest(found.leaves) == digest(state(found.step)), nth
        assert bool(messages) <= (before == "the same, damaged"), messages
        put(folder, 30, keep=2)
        assert newest(folder).step == 30
        finished = not storage.fired
    assert nth > 1 or number is None


def prepare(folder: Path, before: str) -> None:
    put(folder, 10, 20)
    if "same" in before:
        put(folder, 30)
    if "damaged" in before:
        (folder / "00000030" / "state.npz").write_bytes(b"")
    if before == "leftovers":
        for name in (".partial-00000030", ".removed-00000010"):
            (folder / name).mkdir()
            (folder / name / "state.npz").write_bytes(b"half")


@pytest.mark.parametrize("number", ERRORS[:-1])
def test_a_failing_call_while_resuming_loses_nothing(tmp_path, faulty, number):
    nth, finished = 0, False
    while not finished:
        nth += 1
        folder, storage = tmp_path / str(nth), faulty(nth, number)
        put(folder, 10, 20, 30)
        prepare(folder, "leftovers")
        (folder / "00000030" / "state.npz").write_bytes(b"")
        try:
            found, _ = latest(folder, storage=storage)
            # An unreadable block of the disk (EIO) is damage like any other: one step further back.
            assert found
            assert found.step in ((10, 20) if number == errno.EIO else (20,))
        except PlaceError:
            assert storage.fired
            assert newest(folder).step == 20
        kept = {load(path).step for path in folder.iterdir() if path.name == "00000010"}
        assert kept == {10}
        finished = not storage.fired
    assert nth > 10


def test_a_missing_permission_is_no_damage(tmp_path, faulty):
    put(tmp_path, 10)
    with pytest.raises(PlaceError, match=r"manifest.json cannot be read: Too many open files"):
        load(tmp_path / "00000010", storage=faulty(1, errno.EMFILE))


# R5: the disk is really full.


def test_a_file_size_limit_is_told(tmp_path):
    put(tmp_path, 10)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    big = {"x": np.zeros(100_000)}
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(PlaceError, match=r"Saving checkpoint 20 in .* failed: File too large"):
            save(tmp_path, 20, big, {}, keep=3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert holds(tmp_path, 10)


@pytest.fixture
def small_disk(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "descant-test", str(tmp_path)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small disk needs root")
    yield tmp_path / "checkpoints"
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_keeps_the_last_good_one_and_tells_the_bytes(small_disk):
    put(small_disk, 10)
    with pytest.raises(
        PlaceError, match=r"No space left.* [\d,]+ bytes were needed, [\d,]+ are free"
    ):
        save(small_disk, 20, {"x": np.zeros(20_000)}, {}, keep=3)
    assert holds(small_disk, 10)
    assert newest(small_disk).step == 10
    put(small_disk, 20)
    assert newest(small_disk).step == 20


# Attacks: files made by someone who knows the format.


def npz(members: dict[str, np.ndarray | bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of arrays, or of raw bytes for members that no library would write."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content if isinstance(content, bytes) else npy(content))
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def forge(folder: Path, leaves: dict, state: bytes, /, **changes) -> Path:
    """A checkpoint whose manifest is right in itself and fits its state file."""
    content = {
        "format": 1,
        "step": 7,
        "files": {
            "state.npz": {"sha256": hashlib.sha256(state).hexdigest(), "bytes": len(state)},
        },
        "leaves": {
            name: {"shape": shape, "dtype": dtype} for name, (shape, dtype) in leaves.items()
        },
        "metadata": {},
        **changes,
    }
    seal = hashlib.sha256((json.dumps(content, indent=1, sort_keys=True) + "\n").encode())
    content["sha256"] = seal.hexdigest()
    path = folder / "00000007"
    path.mkdir(parents=True)
    (path / "state.npz").write_bytes(state)
    (path / "manifest.json").write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    return path


class Trap:
    def __reduce__(self):
        return Path.touch, (Path("/tmp/descant-was-here"),)  # noqa: S108


ZEROS = np.zeros(4, np.float32)
TRAP = np.array([Trap()], object)
HUGE = b"\x93NUMPY\x02\x00" + (2**32 - 1).to_bytes(4, "little") + b"{" * 100
WIDE = npy(ZEROS).replace(b"(4,)", b"(" + b"9" * 9 + b",)").replace(b" " * 8, b"", 1)
LONG = b"\x93NUMPY\x01\x00\xff\xff" + b" " * 65535 + bytes(16)
ATTACKS = {
    "a pickle": ({"x": ([1], "float32")}, npz({"x": TRAP}), "is not float32"),
    "a pickle, declared": ({"x": ([1], "object")}, npz({"x": TRAP}), "has dtype 'object'"),
    "a bare pickle": ({"x": ([1], "float32")}, pickle.dumps(Trap()), "not as descant writes"),
    "a compressed bomb": (
        {"x": ([250_000], "float32")},
        npz({"x": np.zeros(250_000, np.float32)}, zipfile.ZIP_DEFLATED),
        "its arrays need 1000000 bytes",
    ),
    "a small bomb": (
        {"x": ([4], "float32")},
        npz({"x": ZEROS}, zipfile.ZIP_DEFLATED),
        "is compressed",
    ),
    "a huge shape": (
        {"x": ([2**62], "float32")},
        npz({"x": ZEROS}),
        "need 18446744073709551616 bytes",
    ),
    "a huge shape inside": ({"x": ([4], "float32")}, npz({"x": WIDE}), r"is not float32\[4\]"),
    "a negative shape": ({"x": ([-4, -1], "float32")}, npz({"x": ZEROS}), "has shape"),
    "a shape of words": ({"x": (["4"], "float32")}, npz({"x": ZEROS}), "has shape"),
    "a huge header": ({"x": ([4], "float32")}, npz({"x": HUGE}), "header of another version"),
    "a long header": (
        {"x": ([4], "float32")},
        npz({"x": LONG}),
        "takes 65561 bytes",
    ),
    "a member that climbs": (
        {"../../x": ([4], "float32")},
        npz({"../../x": ZEROS}),
        "is named '../../x'",
    ),
    "a member that climbs, unlisted": (
        {"x": ([4], "float32")},
        npz({"../x": ZEROS}),
        "members are",
    ),
    "a member too many": (
        {"x": ([4], "float32")},
        npz({"x": ZEROS, "y": ZEROS}),
        "members are not",
    ),
    "a missing member": (
        {"x": ([4], "float32"), "y": ([], "bool")},
        npz({"x": ZEROS}),
        "members are not",
    ),
    "a wrong dtype": ({"x": ([4], "int32")}, npz({"x": ZEROS}), "is not int32"),
    "a wrong shape": ({"x": ([2, 2], "float32")}, npz({"x": ZEROS}), r"is not float32\[2, 2\]"),
    "missing bytes": (
        {"x": ([4], "float32")},
        npz({"x": npy(ZEROS)[:-4]}),
        "not as descant writes",
    ),
    "bytes too many": (
        {"x": ([4], "float32")},
        npz({"x": npy(ZEROS) + bytes(4)}),
        "not as descant",
    ),
    "no zip": ({"x": ([4], "float32")}, bytes(1000), "not as descant writes"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_refused(tmp_path, attack):
    leaves, state, reason = ATTACKS[attack]
    path = forge(tmp_path, leaves, state)
    with pytest.raises(CheckpointError, match=reason):
        load(path)
    assert not Path("/tmp/descant-was-here").exists()  # noqa: S108


def test_the_forger_could_make_a_good_one(tmp_path):
    path = forge(tmp_path, {"x": ([4], "float32")}, npz({"x": ZEROS}))
    np.testing.assert_array_equal(load(path).leaves["x"], ZEROS)


@pytest.mark.parametrize(
    "changes",
    [
        {"leaves": []},
        {"leaves": {"x": {}}},
        {"leaves": {"x": {"shape": None, "dtype": "float32"}}},
        {"files": {}},
        {"files": {"state.npz": {"sha256": "", "bytes": "many"}}},
        {"step": "7"},
        {"step": None},
    ],
)
def test_manifests_of_another_build_are_refused(tmp_path, changes):
    with pytest.raises(CheckpointError, match=r"manifest.json is not as descant writes it"):
        load(forge(tmp_path, {"x": ([4], "float32")}, npz({"x": ZEROS}), **changes))


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{", b"[" * 100_000, b"\xff\xfe"])
def test_manifests_that_are_none_are_refused(tmp_path, content):
    path = forge(tmp_path, {}, npz({}))
    (path / "manifest.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"manifest\.json"):
        load(path)


def test_links_and_pipes_are_refused(tmp_path):
    good = save(tmp_path / "good", 7, state(7), {}, keep=1)
    linked = tmp_path / "linked" / good.name
    linked.parent.mkdir()
    linked.symlink_to(good)
    with pytest.raises(CheckpointError, match="it is a link"):
        load(linked)
    for name in ("state.npz", "manifest.json"):
        kept = (good / name).rename(tmp_path / name)
        (good / name).symlink_to(kept)
        with pytest.raises(CheckpointError, match=name):
            load(good)
        (good / name).unlink()
        os.mkfifo(good / name)
        with pytest.raises(CheckpointError, match="it is not a plain file"):
            load(good)
        (good / name).unlink()
        kept.rename(good / name)
    assert load(good).step == 7


def test_saving_over_a_link_leaves_what_it_points_to(tmp_path):
    target = save(tmp_path / "other", 10, state(99), {}, keep=1)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "00000010").symlink_to(target)
    put(tmp_path / "run", 10)
    assert digest(load(target).leaves) == digest(state(99))
    assert digest(load(tmp_path / "run" / "00000010").leaves) == digest(state(10))


# Trees.


def learner(seed: int, width: int = 4) -> dict:
    key = jax.random.key(seed)
    net = eqx.nn.MLP(3, 2, width, 1, key=key)
    return {
        "net": net,
        "optimiser": optax.adam(1e-3).init(eqx.filter(net, eqx.is_array)),
        "key": jax.random.fold_in(key, 1),
        "scale": jnp.full((), 0.5, jnp.bfloat16),
        "active": jnp.array([True, False]),
        "name": "dgpg",
        "host": np.array([seed], np.int32),
    }


def test_a_tree_goes_through_a_checkpoint(tmp_path):
    tree = learner(1)
    path = save(tmp_path, 1, flatten(tree), {}, keep=1)
    back = restore(learner(2), load(path).leaves)
    assert eqx.tree_equal(back, tree)
    assert digest(flatten(back)) == digest(flatten(tree)) != digest(flatten(learner(2)))
    assert jax.random.bits(back["key"]) == jax.random.bits(tree["key"])
    assert isinstance(back["host"], np.ndarray)


def test_leaves_are_named_by_their_paths():
    names = flatten(learner(1))
    assert {
        "net/layers/0/weight",
        "optimiser/0/count",
        "key<threefry2x32>",
        "scale",
    } <= names.keys()
    assert "name" not in names
    assert flatten(jnp.zeros(2)).keys() == {"state"}


def test_flatten_copies():
    x = jnp.arange(4.0)
    leaf = flatten({"x": x})["x"]
    jax.jit(lambda x: x + 1, donate_argnums=0)(x).block_until_ready()
    np.testing.assert_array_equal(leaf, np.arange(4.0))
    assert leaf.flags.owndata


def test_two_leaves_of_one_name_are_refused():
    with pytest.raises(CheckpointError, match="both called 'a/b'"):
        flatten({"a": {"b": jnp.zeros(1)}, "a/b": jnp.zeros(1)})


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ({"x": jnp.zeros(3)}, r"'x' is float32\[2\]; expected float32\[3\]"),
        ({"x": jnp.zeros(2, jnp.int32)}, r"'x' is float32\[2\]; expected int32\[2\]"),
        ({"x": jnp.zeros(2), "y": jnp.zeros(2)}, "has no array 'y'"),
        ({"actor": jnp.zeros(2)}, "has no array 'actor'"),
        ({}, "has 'x', which the configuration lacks"),
        ({"x": jax.random.key(0)}, "no array 'x<threefry2x32>'; it has 'x', which"),
    ],
)
def test_a_template_that_does_not_fit_is_refused_by_name(template, reason):
    with pytest.raises(CheckpointError, match=reason):
        restore(template, {"x": np.zeros(2, np.float32)})


def test_keys_of_another_generator_are_refused():
    leaves = flatten({"key": jax.random.key(0, impl="rbg")})
    with pytest.raises(CheckpointError, match=r"no array 'key<threefry2x32>'.*'key<rbg>'"):
        restore({"key": jax.random.key(0)}, leaves)


def test_checkpoint_errors_are_the_users():
    assert issubclass(CheckpointError, UserError)


def test_saving_and_loading_do_not_import_jax(tmp_path):
    code = """
import sys; from pathlib import Path; import numpy as np
from descant.train import checkpoint
checkpoint.save(Path(sys.argv[1]), 1, {"x": np.zeros(2)}, {}, keep=1)
checkpoint.latest(Path(sys.argv[1]))
assert "jax" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_clearing_removes_what_is_ours_only(tmp_path):
    put(tmp_path, 1, 2, 3)
    (tmp_path / "00000003" / "state.npz").write_bytes(b"")
    latest(tmp_path)
    (tmp_path / ".partial-00000004").mkdir()
    foreign = {"notes.txt", "quarantine-mine", "7", "00000009x"}
    for name in foreign:
        (tmp_path / name).touch()
    clear(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == foreign
    clear(tmp_path / "none")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_clearing_that_fails_leaves_no_half_checkpoint(tmp_path, faulty, number):
    """Wherever it fails: what is left loads, or is gone after the next start."""
    for nth in range(1, 100):
        folder = tmp_path / str(nth)
        put(folder, 1, 2)
        storage = faulty(nth, number)
        with suppress(PlaceError):
            clear(folder, storage)
        if not storage.fired:
            return
        found, messages = latest(folder)
        assert messages == [], f"call {nth}"
        assert found is None or found.step == 2, f"call {nth}"
    raise AssertionError("the disk never got through")
