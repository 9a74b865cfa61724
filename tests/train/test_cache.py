import importlib.util
import os
import stat
import subprocess
import sys
import zlib

import pytest

from descant.train import cache


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("DESCANT_CACHE", raising=False)
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    return tmp_path


def make(home):
    (home / "descant").mkdir(mode=0o700)
    folder = home / "descant" / "jax"
    folder.mkdir(mode=0o700)
    return folder


def test_the_folder_follows_xdg(home, monkeypatch):
    assert cache.directory() == home / "descant" / "jax"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/someone")
    assert str(cache.directory()) == "/home/someone/.cache/descant/jax"


@pytest.mark.parametrize("word", ["off", "OFF", "0"])
def test_it_can_be_switched_off(home, monkeypatch, word):
    monkeypatch.setenv("DESCANT_CACHE", word)
    assert cache.enable_compile_cache() == (None, "compile cache off: DESCANT_CACHE says so")
    assert not list(home.iterdir())


def test_a_folder_chosen_for_jax_is_left_alone(home, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/elsewhere")
    folder, line = cache.enable_compile_cache()
    assert str(folder) == "/elsewhere"
    assert "JAX_COMPILATION_CACHE_DIR" in line
    assert not list(home.iterdir())


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
@pytest.mark.parametrize("part", ["descant", "descant/jax"])
def test_a_folder_others_may_write_in_is_refused(home, part, mode):
    make(home)
    (home / part).chmod(mode)
    folder, line = cache.enable_compile_cache()
    assert folder is None
    assert f"others may write in {home / part}" in line


def test_a_root_others_may_write_in_is_refused_unless_sticky(home):
    home.chmod(0o777)
    assert f"others may write in {home};" in cache.enable_compile_cache()[1]
    (home / "descant" / "jax").rmdir()
    (home / "descant").rmdir()
    home.chmod(0o1777)
    make(home).chmod(0o777)
    assert f"others may write in {home / 'descant' / 'jax'}" in cache.enable_compile_cache()[1]


def test_a_link_is_refused(home, tmp_path_factory):
    make(home).rmdir()
    (home / "descant" / "jax").symlink_to(tmp_path_factory.mktemp("elsewhere"))
    assert "is a link" in cache.enable_compile_cache()[1]


@pytest.mark.skipif(os.getuid() != 0, reason="giving a folder away needs root")
def test_a_folder_of_another_user_is_refused(home):
    os.chown(make(home), 12345, 12345)
    assert "belongs to another user" in cache.enable_compile_cache()[1]


def test_a_file_in_the_way_is_told(home):
    (home / "descant").touch()
    folder, line = cache.enable_compile_cache()
    assert folder is None
    assert line.startswith("compile cache off: ")


def test_zstd_is_refused(home, tmp_path, monkeypatch):
    (tmp_path / "modules" / "zstandard").mkdir(parents=True)
    (tmp_path / "modules" / "zstandard" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "modules")
    folder, line = cache.enable_compile_cache()
    assert folder is None
    assert "no checksum" in line


def test_clearing(home):
    assert cache.clear() == 0
    (make(home) / "entry").touch()
    assert cache.clear() == 1
    assert not cache.directory().exists()


# R18: a damaged entry is compiled again, and nothing else happens.

DAMAGED = """
import random, warnings
random.seed(0)
from descant.train.cache import enable_compile_cache
folder, line = enable_compile_cache()
assert folder and line == f"compile cache in {folder}", line
import jax, jax.numpy as jnp
assert jax.config.jax_compilation_cache_dir == str(folder)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)

@jax.jit
def program(x):
    return jax.lax.scan(lambda c, _: (jnp.tanh(c @ c.T), c.sum()), x, length=5)

def run():
    jax.clear_caches()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        values = [y.tobytes() for y in map(jax.device_get, program(jnp.eye(16) * 0.3))]
    return values, len(caught)

expected, _ = run()
(entry,) = folder.glob("jit_program-*-cache")
good = entry.read_bytes()
assert run() == (expected, 0)
noticed = 0
for _ in range(20):
    content = bytearray(good)
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    entry.write_bytes(content)
    values, warned = run()
    assert values == expected
    noticed += warned > 0
assert noticed > 10, noticed
print("fine")
"""


ZSTD = sys.version_info >= (3, 14) or importlib.util.find_spec("zstandard")


@pytest.mark.skipif(bool(ZSTD), reason="with zstd the cache is off")
def test_damaged_entries_change_nothing(home):
    done = subprocess.run([sys.executable, "-c", DAMAGED], capture_output=True, text=True)
    assert done.stdout == "fine\n", done.stderr[-2000:]
    for part in ("descant", "descant/jax"):
        assert stat.S_IMODE((home / part).stat().st_mode) == 0o700


def test_damaged_entries_are_removed(home):
    folder = make(home)
    whole = zlib.compress(bytes(range(256)) * 40)
    (folder / "jit_good-cache").write_bytes(whole)
    (folder / "jit_good-atime").write_bytes(b"now")
    (folder / "jit_short-cache").write_bytes(whole[:-1])
    (folder / "jit_empty-cache").write_bytes(b"")
    for number in range(20):
        flipped = bytearray(whole)
        flipped[len(whole) * number // 20] ^= 1 << number % 8
        (folder / f"jit_{number}-cache").write_bytes(flipped)
    assert cache.mend() == 22
    assert {path.name for path in folder.iterdir()} == {"jit_good-cache", "jit_good-atime"}
    assert cache.mend() == 0


def test_no_cache_needs_no_mending(home):
    assert cache.mend() == 0
