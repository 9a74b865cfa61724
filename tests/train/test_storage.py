import errno
import os

import pytest

from descant.core.errors import PlaceError
from descant.train.storage import DISK, explained

ERRORS = [errno.ENOSPC, errno.EIO, errno.EINTR, errno.EACCES, None]


def test_short_writes_are_continued(tmp_path, faulty):
    faulty(1, None).write(tmp_path / "a", b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_write_never_overwrites(tmp_path):
    DISK.write(tmp_path / "a", b"old")
    with pytest.raises(FileExistsError):
        DISK.write(tmp_path / "a", b"new")


@pytest.mark.parametrize("number", ERRORS)
def test_replace_gives_the_old_content_or_the_new(tmp_path, faulty, number):
    path, nth, finished = tmp_path / "a", 0, False
    while not finished:
        nth += 1
        path.write_bytes(b"the old content")
        storage = faulty(nth, number)
        try:
            storage.replace(path, b"the new one")
        except OSError:
            assert path.read_bytes() in (b"the old content", b"the new one")
        else:
            assert path.read_bytes() == b"the new one"
        assert DISK.names(tmp_path) == ["a"]
        finished = not storage.fired
    assert nth > 1


def test_replace_goes_over_what_a_killed_process_left(tmp_path):
    (tmp_path / ".a.partial").write_bytes(b"half")
    DISK.replace(tmp_path / "a", b"whole")
    assert DISK.names(tmp_path) == ["a"]


def test_append_cuts_off_a_torn_line(tmp_path):
    (tmp_path / "a").write_bytes(b"one\ntw")
    DISK.append(tmp_path / "a", b"two\n")
    assert (tmp_path / "a").read_bytes() == b"one\ntwo\n"


@pytest.mark.parametrize("number", ERRORS)
def test_append_that_fails_leaves_the_file_as_it_was(tmp_path, faulty, number):
    path = tmp_path / "a"
    path.write_bytes(b"one\n")
    with pytest.raises(OSError, match=r".") as caught:
        faulty(1, number).append(path, b"two\n")
    assert caught.value.errno == (number or errno.ENOSPC)
    assert path.read_bytes() == b"one\n"


def test_read_stops_one_byte_after_the_limit(tmp_path):
    (tmp_path / "a").write_bytes(bytes(100))
    assert len(DISK.read(tmp_path / "a")) == 100
    assert len(DISK.read(tmp_path / "a", 100)) == 100
    assert len(DISK.read(tmp_path / "a", 10)) == 11


def test_read_takes_plain_files_only(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", ""):
        with pytest.raises(OSError, match=r".") as caught:
            DISK.read(tmp_path / name)
        assert caught.value.errno in (errno.ELOOP, errno.EINVAL)


def test_remove_does_not_follow_links(tmp_path):
    (tmp_path / "safe").mkdir()
    (tmp_path / "safe" / "file").touch()
    (tmp_path / "gone" / "deep").mkdir(parents=True)
    (tmp_path / "gone" / "deep" / "link").symlink_to(tmp_path / "safe")
    DISK.remove(tmp_path / "gone")
    assert DISK.names(tmp_path) == ["safe"]
    assert DISK.names(tmp_path / "safe") == ["file"]


def test_make_makes_all_folders_and_may_be_repeated(tmp_path):
    DISK.make(tmp_path / "a" / "b")
    DISK.make(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_full_disk_is_told_with_needed_and_free_bytes(tmp_path):
    with (
        pytest.raises(
            PlaceError, match=r"Saving failed: .*1,234,567 bytes were needed, [\d,]+ are"
        ),
        explained("Saving", tmp_path, 1234567),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
