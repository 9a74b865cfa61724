"""What processes of one run say to each other; threads stand in for processes."""

import json
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest

from descant.core.errors import PlaceError, UserError
from descant.train import hosts
from descant.train.hosts import Hosts, Team, WorkerLost, receive, send

BADGE = {"settings": "a", "version of jax": "1"}


@pytest.fixture
def teams():
    """A team of three, each with its own thread: `teams(lambda team: ...)` gives all answers."""
    links = [socket.socketpair() for _ in range(2)]
    members = [Team(0, {1: links[0][0], 2: links[1][0]})]
    members += [Team(rank, {0: links[rank - 1][1]}) for rank in (1, 2)]

    def together(act):
        with ThreadPoolExecutor(3) as pool:
            return list(pool.map(act, members))

    together.links = links
    yield together
    for link in links:
        for end in link:
            end.close()


def meet(*given):
    """All of some `(hosts, badge)` at once; what each got, or its error."""

    def one(pair):
        where, badge = pair
        with ExitStack() as stack:
            try:
                team, address = (hosts._come if where.rank else hosts._gather)(where, badge, stack)
                return team.told([address, team.rank])
            except Exception as error:
                return error

    with ThreadPoolExecutor(len(given)) as pool:
        return list(pool.map(one, given))


def free():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_hosts_are_read():
    assert Hosts.parse("10.0.0.1:4711,1,2") == Hosts("10.0.0.1", 4711, 1, 2)
    assert Hosts.parse("[::1]:80,0,1").host == "[::1]"
    assert str(Hosts.parse("node:1,3,4")) == "Rank 3 of 4"


@pytest.mark.parametrize("text", ["", "node,0,2", "node:1,2,2", "node:99999,0,2", "node:1,-1,2"])
def test_other_ways_to_write_hosts_are_refused(text):
    with pytest.raises(ValueError, match="expected"):
        Hosts.parse(text)


def test_everybody_hears_rank_0_and_the_largest_value(teams):
    assert teams(lambda team: team.told({"rank": team.rank})) == [{"rank": 0}] * 3
    assert teams(lambda team: team.most(team.rank * 2)) == [4, 4, 4]
    assert Team().most(3) == 3
    assert Team().told(3) == 3


def test_arrays_are_handed_over_to_the_last_bit(teams):
    leaves = {
        "b": np.array([[-0.0, 1e-45], [np.pi, -1]], np.float32),
        "a/bits": np.array([True, False]),
        "none": np.zeros((0, 3), np.int32),
    }
    like = {name: np.zeros_like(leaf) for name, leaf in leaves.items()}
    found = teams(lambda team: team.handed(None if team.rank else leaves, like))
    for handed in found:
        assert handed.keys() == leaves.keys()
        for name, leaf in leaves.items():
            assert handed[name].tobytes() == leaf.tobytes()
            assert (handed[name].dtype, handed[name].shape) == (leaf.dtype, leaf.shape)


def test_who_is_gone_is_told_to_all(teams):
    """Rank 2 leaves; rank 1, which has no connection to it, hears of it from rank 0."""

    def act(team):
        if team.rank == 2:
            teams.links[1][1].shutdown(socket.SHUT_RDWR)
            return None
        with pytest.raises(WorkerLost, match="Rank 2 is gone") as lost:
            team.most(0)
            team.most(0)
        return lost.value.rank

    assert teams(act) == [2, 2, None]


def test_after_a_failure_somebody_looks_who_is_missing(teams):
    teams.links[0][1].shutdown(socket.SHUT_RDWR)
    assert teams(lambda team: None if team.rank == 1 else team.missing()) == [1, None, 1]


def test_nobody_is_missing(teams, monkeypatch):
    monkeypatch.setattr(hosts, "HEARTBEAT", 0.1)
    assert teams(Team.missing) == [None] * 3


def test_processes_meet():
    port = free()
    where = [Hosts("127.0.0.1", port, rank, 3) for rank in (2, 0, 1)]
    answers = meet(*((one, BADGE) for one in where))
    assert answers[0] == answers[1] == answers[2]
    address, rank = answers[0]
    assert rank == 0
    assert address.startswith("127.0.0.1:")
    assert not address.endswith(f":{port}")


@pytest.mark.parametrize(
    ("rank", "size", "badge", "said"),
    [
        (1, 2, BADGE | {"settings": "b"}, "Rank 1 was given another settings than rank 0"),
        (1, 2, BADGE | {"version of jax": "2"}, "another version of jax than rank 0"),
        (1, 3, BADGE, "Rank 1 was told of 3 processes, rank 0 of 2"),
    ],
)
def test_who_belongs_elsewhere_is_refused_on_both_sides(rank, size, badge, said):
    port = free()
    both = Hosts("127.0.0.1", port, 0, 2), Hosts("127.0.0.1", port, rank, size)
    for error in meet((both[0], BADGE), (both[1], badge)):
        assert isinstance(error, UserError)
        assert said in str(error)


def test_two_of_one_rank_are_refused():
    port = free()
    where = [Hosts("127.0.0.1", port, rank, 3) for rank in (0, 1, 1)]
    errors = meet(*((one, BADGE) for one in where))
    assert ["two processes of rank 1" in str(error) for error in errors] == [True] * 3


def test_strangers_are_sent_away():
    port = free()

    def stranger():
        while True:
            try:
                link = socket.create_connection(("127.0.0.1", port))
                break
            except ConnectionRefusedError:
                continue
        for content in (b"GET / HTTP/1.0\r\n\r\n", struct.pack(">Q", 1 << 60), b""):
            with link, socket.create_connection(("127.0.0.1", port)) as other:
                other.sendall(content)
        send(link := socket.create_connection(("127.0.0.1", port)), json.dumps([1]).encode())
        with link:
            assert link.recv(1) == b""
        return hosts._come(Hosts("127.0.0.1", port, 1, 2), BADGE, ExitStack())

    with ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        coming = pool.submit(stranger)
        team, address = hosts._gather(Hosts("127.0.0.1", port, 0, 2), BADGE, stack)
        assert coming.result()[1] == address
    assert team.rank == 0


def test_nobody_comes(monkeypatch):
    monkeypatch.setattr(hosts, "ARRIVAL", 0.1)
    port = free()
    (error,) = meet((Hosts("127.0.0.1", port, 0, 3), BADGE))
    assert isinstance(error, PlaceError)
    assert "for rank 1, 2" in str(error)
    (error,) = meet((Hosts("127.0.0.1", port, 1, 3), BADGE))
    assert isinstance(error, PlaceError)
    assert f"rank 0 at 127.0.0.1:{port}" in str(error)


def test_a_port_in_use_is_told():
    with socket.create_server(("127.0.0.1", 0)) as server:
        (error,) = meet((Hosts("127.0.0.1", server.getsockname()[1], 0, 2), BADGE))
    assert isinstance(error, PlaceError)
    assert "cannot listen" in str(error)


def test_messages_are_whole_or_an_error():
    a, b = socket.socketpair()
    with a, b:
        send(a, b"hello")
        assert receive(b) == b"hello"
        a.sendall(struct.pack(">Q", 10) + b"half")
        a.shutdown(socket.SHUT_WR)
        with pytest.raises(OSError, match="closed"):
            receive(b)
