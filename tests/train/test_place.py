import os

import pytest

from descant.train.place import cores, instruction_set, moved, place, versions


@pytest.mark.parametrize(
    ("flags", "level"),
    [
        ("fpu sse4_2 avx avx2 avx512f avx512dq", " avx512f"),
        ("fpu sse4_2 avx avx2", " avx2"),
        ("fpu sse4_2 avx", " avx"),
        ("fpu avxish", ""),
        ("", ""),
    ],
)
def test_the_widest_vector_instructions_are_told(flags, level):
    assert instruction_set(flags).endswith(f"{os.uname().machine}{level}")


def test_the_same_place_has_not_moved(tmp_path):
    (tmp_path / "mine.py").write_text("x = 1\n")
    here = place("cpu", [str(tmp_path / "mine.py")])
    assert moved(here, here) == []
    assert here["versions"] == versions()


def test_what_changes_bits_is_told(tmp_path, monkeypatch):
    mine = tmp_path / "mine.py"
    mine.write_text("x = 1\n")
    monkeypatch.setenv("NPROC", "1")
    before = place("cpu", [str(mine)])
    before["versions"]["jaxlib"] = "0.0.1"
    mine.write_text("x = 2\n")
    monkeypatch.setenv("NPROC", "2")
    monkeypatch.setenv("XLA_FLAGS", "--a")
    here = place("gpu", [str(mine)])
    assert moved(before, here) == [
        "threads: 1 -> 2",
        "device: cpu -> gpu",
        "XLA_FLAGS: None -> --a",
        f"jaxlib: 0.0.1 -> {versions()['jaxlib']}",
        f"{mine} was edited",
    ]


def test_without_nproc_the_cores_decide(monkeypatch):
    monkeypatch.delenv("NPROC", raising=False)
    before = place("cpu")
    assert before["threads"] is None
    monkeypatch.setenv("NPROC", str(cores()))
    assert moved(before, place("cpu")) == []
    assert moved(before | {"cores": 64}, place("cpu")) == [f"threads: 64 -> {cores()}"]


@pytest.mark.parametrize("damage", [{}, {"versions": 3, "files": []}, {"isa": None}])
def test_damaged_records_are_compared_all_the_same(damage):
    assert isinstance(moved(damage, place("cpu")), list)
