"""One run on several processes, perhaps on several machines: who is in it, and what they agree on.

Every process computes the same program on its share of the scenarios. Rank 0 holds the run folder
and tells the others what is in it. What is agreed on goes through connections of their own, on
which everybody may wait as long as it takes; JAX's give up after half a minute.
"""

import hashlib
import json
import re
import select
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, NoReturn

from descant.core.errors import DescantError, PlaceError, UserError
from descant.train.settings import Settings
from descant.train.toml import to_toml

if TYPE_CHECKING:
    import numpy as np

HEARTBEAT = 10
"""Seconds without a sign of life after which a process counts as lost."""
ARRIVAL = 300
"""Seconds that processes wait for one another at the start."""
PARTING = 60
"""Seconds that they wait for one another at the end."""
LIMIT = 1 << 32
"""Bytes of a message; a longer one is not ours."""
AGAIN = "The same commands go on from the last checkpoint."


class WorkerLost(DescantError):
    """A process of the run is gone; `rank` says which, where that is known."""

    code = 5

    def __init__(self, message: str, rank: int | None = None):
        super().__init__(message)
        self.rank = rank


@dataclass(frozen=True)
class Hosts:
    """Where a process stands among those of its run."""

    host: str
    """Where all others reach rank 0."""
    port: int
    rank: int
    size: int

    @classmethod
    def parse(cls, text: str) -> "Hosts":
        """Read `HOST:PORT,RANK,SIZE`.

        Raises:
            ValueError: it is written in another way, or there is no such rank.
        """
        match = re.fullmatch(r"([^\s,]+):(\d{1,5}),(\d{1,5}),(\d{1,5})", text)
        if match is None or int(match[2]) >= 1 << 16:
            raise ValueError(f"expected HOST:PORT,RANK,SIZE as in 10.0.0.1:4711,0,2, got {text!r}.")
        rank, size = int(match[3]), int(match[4])
        if rank >= size:
            raise ValueError(f"expected ranks 0 to SIZE - 1 = {size - 1}, got rank {rank}.")
        return cls(match[1], int(match[2]), rank, size)

    def __str__(self) -> str:
        return f"Rank {self.rank} of {self.size}"


class Team:
    """The processes of a run. All of them call the same methods in the same order.

    Args:
        rank: of this process.
        links: connections by rank: rank 0's to all others, or one to rank 0.
    """

    def __init__(self, rank: int = 0, links: Mapping[int, socket.socket] | None = None):
        self.rank = rank
        self._links = dict(links or {})

    @property
    def alone(self) -> bool:
        """Whether there are no others."""
        return not self._links

    def told(self, value: Any) -> Any:
        """Rank 0's value; JSON can hold it."""
        return json.loads(self._handed(json.dumps(value).encode()))

    def most(self, value: int) -> int:
        """The largest value of all ranks; nobody goes on before all have been asked."""
        if self.rank:
            self._send(0, json.dumps(value).encode())
        else:
            value = max([value, *(json.loads(self._receive(rank)) for rank in self._links)])
        return self.told(value)

    def handed(
        self, leaves: "Mapping[str, np.ndarray] | None", like: "Mapping[str, np.ndarray]"
    ) -> "dict[str, np.ndarray]":
        """Rank 0's arrays, which have names, shapes and types as in `like`; others hand in none."""
        import numpy as np

        handed = {}
        for name in sorted(like):
            template = like[name]
            content = b"" if leaves is None else np.ascontiguousarray(leaves[name]).tobytes()
            flat = np.frombuffer(self._handed(content), template.dtype)
            handed[name] = flat.reshape(template.shape)
        return handed

    def part(self) -> None:
        """Nothing more is computed together: whoever ends from now on is not missed."""
        if self.alone:
            return
        import jax

        self.most(0)
        if jax.distributed.is_initialized():
            jax.distributed.shutdown()
        for link in self._links.values():
            link.close()
        self._links = {}

    def missing(self) -> int | None:
        """Who is gone, after a computation has failed for want of somebody; none if all are there.

        Rank 0 sees who it is and tells the others.
        """
        until = time.monotonic() + HEARTBEAT
        while (left := until - time.monotonic()) > 0 and self._links:
            ready = select.select(list(self._links.values()), [], [], left)[0]
            for rank in [r for r, link in self._links.items() if link in ready]:
                try:
                    self._receive(rank)
                except WorkerLost as lost:
                    return lost.rank
        return None

    def _handed(self, content: bytes) -> bytes:
        if self.rank:
            return self._receive(0)
        for rank in self._links:
            self._send(rank, content)
        return content

    def _send(self, rank: int, content: bytes) -> None:
        try:
            send(self._links[rank], b"." + content)
        except OSError:
            self._lose(rank)

    def _receive(self, rank: int) -> bytes:
        content = b""
        with suppress(OSError):
            content = receive(self._links[rank])
        if not content.startswith(b"."):
            self._lose(int(content[1:]) if content else rank)
        return content[1:]

    def _lose(self, lost: int) -> NoReturn:
        """Say who is gone, to the others too."""
        for rank, link in self._links.items():
            if not self.rank and rank != lost:
                with suppress(OSError):
                    send(link, b"!" + str(lost).encode())
        raise WorkerLost(f"Rank {lost} is gone, so the run ends here. {AGAIN}", lost)


@contextmanager
def joined(hosts: Hosts | None, settings: Settings) -> Iterator[Team]:
    """Meet the other processes, and part from them when everything went well.

    To be called before JAX computes anything. When a process is lost, JAX may end the others
    before they can say a word; `descant.train.worker` says it for them.

    Raises:
        UserError: a rank was given other settings, or is there twice.
        PlaceError: the processes do not find one another.
        WorkerLost: one is gone.
    """
    if hosts is None or hosts.size == 1:
        yield Team()
        return
    with ExitStack() as stack:
        meet = _gather if hosts.rank == 0 else _come
        team, address = meet(hosts, _badge(settings), stack)
        import jax

        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(
            address,
            hosts.size,
            hosts.rank,
            cluster_detection_method="deactivate",
            coordinator_bind_address=address if hosts.rank == 0 else None,
            initialization_timeout=ARRIVAL,
            heartbeat_timeout_seconds=HEARTBEAT,
            shutdown_timeout_seconds=PARTING,
        )
        try:
            yield team
            team.part()
        except (ValueError, RuntimeError) as error:
            # What collectives raise is no class of its own.
            if not re.search("Gloo|NCCL|UNAVAILABLE|coordination service", str(error)):
                raise
            lost = team.missing()
            who = "Another process" if lost is None else f"Rank {lost}"
            raise WorkerLost(f"{who} is gone, so the run ends here. {AGAIN}", lost) from error


def _badge(settings: Settings) -> dict[str, str]:
    """What must be the same for all."""
    return {
        "settings": hashlib.sha256(to_toml(settings).encode()).hexdigest(),
        **{f"version of {name}": metadata.version(name) for name in ("descant", "jax", "jaxlib")},
    }


def _gather(hosts: Hosts, badge: Mapping[str, str], stack: ExitStack) -> tuple[Team, str]:
    """Rank 0: wait for the others, and choose where JAX's coordinator listens."""
    links: dict[int, socket.socket] = {}
    until = time.monotonic() + ARRIVAL
    try:
        door = stack.enter_context(socket.create_server((hosts.host, hosts.port)))
    except OSError as error:
        raise PlaceError(
            f"{hosts} cannot listen on {hosts.host}:{hosts.port}: {error.strerror or error}."
        ) from error
    while len(links) < hosts.size - 1:
        door.settimeout(max(until - time.monotonic(), 0.01))
        try:
            link, _ = door.accept()
        except TimeoutError:
            absent = sorted({*range(1, hosts.size)} - {*links})
            raise PlaceError(
                f"{hosts} waited {ARRIVAL} s at {hosts.host}:{hosts.port} for rank "
                f"{', '.join(map(str, absent))}."
            ) from None
        stack.callback(link.close)
        _welcome(hosts, link, badge, links)
    with socket.create_server((hosts.host, 0)) as free:
        address = f"{hosts.host}:{free.getsockname()[1]}"
    for link in links.values():
        send(link, json.dumps({"address": address}).encode())
    return Team(0, links), address


def _welcome(
    hosts: Hosts, link: socket.socket, badge: Mapping[str, str], links: dict[int, socket.socket]
) -> None:
    """Take in who knocks; strangers are sent away, and who belongs elsewhere ends the run."""
    link.settimeout(HEARTBEAT)
    try:
        hello = json.loads(receive(link, limit=1 << 16))
        rank, size, theirs = hello["rank"], hello["size"], hello["badge"]
    except (OSError, ValueError, KeyError, TypeError):
        link.close()
        return
    link.settimeout(None)
    other = [name for name in badge if theirs.get(name) != badge[name]]
    refusal = None
    if other:
        refusal = f"Rank {rank} was given another {other[0]} than rank 0; expected the same."
    elif size != hosts.size:
        refusal = f"Rank {rank} was told of {size} processes, rank 0 of {hosts.size}."
    elif rank in links or not 0 < rank < size:
        refusal = f"There are two processes of rank {rank}."
    if refusal is None:
        links[rank] = link
        return
    for everybody in (link, *links.values()):
        with suppress(OSError):
            send(everybody, json.dumps({"refused": refusal}).encode())
    raise UserError(refusal)


def _come(hosts: Hosts, badge: Mapping[str, str], stack: ExitStack) -> tuple[Team, str]:
    """Any other rank: knock until rank 0 opens."""
    until = time.monotonic() + ARRIVAL
    while True:
        try:
            link = socket.create_connection((hosts.host, hosts.port), timeout=HEARTBEAT)
            break
        except OSError as error:
            if time.monotonic() > until:
                raise PlaceError(
                    f"{hosts} waited {ARRIVAL} s for rank 0 at {hosts.host}:{hosts.port}: "
                    f"{error.strerror or error}."
                ) from error
            time.sleep(0.2)
    stack.callback(link.close)
    link.settimeout(max(until - time.monotonic(), 0) + HEARTBEAT)
    hello = {"rank": hosts.rank, "size": hosts.size, "badge": dict(badge)}
    try:
        send(link, json.dumps(hello).encode())
        answer = json.loads(receive(link))
    except OSError as error:
        raise WorkerLost("Rank 0 left before all had come.", 0) from error
    if "refused" in answer:
        raise UserError(answer["refused"])
    link.settimeout(None)
    return Team(hosts.rank, {0: link}), answer["address"]


def send(link: socket.socket, content: bytes) -> None:
    """One message: its length, then the bytes.

    Raises:
        OSError: nobody is there to take it.
    """
    link.sendall(struct.pack(">Q", len(content)) + content)


def receive(link: socket.socket, limit: int = LIMIT) -> bytes:
    """One message, as `send` sends it.

    Raises:
        OSError: the other end is closed, or does not speak our language.
    """
    (length,) = struct.unpack(">Q", _exactly(link, 8))
    if length > limit:
        raise ConnectionError(f"a message of {length} bytes")
    return _exactly(link, length)


def _exactly(link: socket.socket, count: int) -> bytes:
    content = bytearray()
    while len(content) < count:
        piece = link.recv(min(count - len(content), 1 << 20))
        if not piece:
            raise ConnectionError("closed")
        content += piece
    return bytes(content)
