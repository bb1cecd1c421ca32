"""Where work on shards is done: in processes of this machine, or as tasks of Ray, on this machine or on a cluster.

An engine maps a function over items and gives results in any order. Order, and that each item counts once, come from
what the function writes: a file of its own name, renamed when it is whole. So an item whose worker died is simply
begun again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Protocol, TypeVar

from testimonia.errors import InputError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

RETRIES = 3  # how often an item is begun again after its worker died
_OBJECTS = 1 << 28  # bytes that Ray keeps in shared memory on this machine


class Engine(Protocol):
    """Maps a function over items; results come in any order. Raises what the function raises.

    Raises InputError, with the item, where workers die again and again.
    """

    def __call__(self, function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]: ...


@contextlib.contextmanager
def processes(workers: int) -> Iterator[Engine]:
    """So many processes, spawned, each with a pipe of its own, so that one that dies takes only its item along.

    Items are taken ahead, one for each process. Workers that are left at the end are killed.
    """
    context = get_context("spawn")
    crew: dict[Connection, SpawnProcess] = {}

    def hired() -> Connection:
        here, there = context.Pipe()
        process = context.Process(target=_work, args=(there,), daemon=True)
        process.start()
        there.close()
        crew[here] = process
        return here

    def dismiss(pipe: Connection) -> None:
        process = crew.pop(pipe)
        pipe.close()
        process.kill()
        process.join()

    def run(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
        left, more = iter(items), True
        ready: deque[tuple[_Item, int]] = deque()
        idle, busy = list(crew), dict[Connection, tuple[_Item, int]]()
        while True:
            while ready and len(busy) < workers:
                pipe = idle.pop() if idle else hired()
                busy[pipe] = ready.popleft()
                with contextlib.suppress(OSError):  # one that is dead does not answer
                    pipe.send((function, busy[pipe][0]))
            if more and len(ready) < workers:
                try:
                    ready.append((next(left), 0))
                except StopIteration:
                    more = False
            elif not busy:
                return
            done = wait(list(busy), 0 if more and len(ready) < workers else None) if busy else []
            for pipe in [one for one in busy if one in done]:
                item, tries = busy.pop(pipe)
                try:
                    good, answer = pipe.recv()
                except (EOFError, OSError):
                    dismiss(pipe)
                    if tries == RETRIES:
                        raise InputError(_died(item)) from None
                    ready.appendleft((item, tries + 1))
                    continue
                idle.append(pipe)
                if not good:
                    raise answer
                yield answer

    try:
        yield run
    finally:
        for pipe in list(crew):
            dismiss(pipe)


def _work(pipe: Connection) -> None:
    """What a worker does: items as they come, until nobody is at the other end of its pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for who began it
    with contextlib.suppress(EOFError, OSError):
        while True:
            function, item = pipe.recv()
            try:
                answer = True, function(item)
            except Exception as error:
                error.add_note(traceback.format_exc())
                answer = False, error
            pipe.send(answer)


@contextlib.contextmanager
def ray_tasks(workers: int, address: str = "") -> Iterator[Engine]:
    """Tasks of Ray: a cluster at an address (`auto`, `ray://host:port`), else one of so many workers on this machine.

    Raises InputError where Ray is not installed, or the cluster does not answer.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise InputError("--engine ray: Ray is not installed; pip install 'testimonia[ray]'") from None
    own: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False, "object_store_memory": _OBJECTS}
    try:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            **({} if address else own),
        )
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"--engine ray: {address or 'local'}: no cluster: {error}; start one, or leave out the address"
        ) from None

    def run(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
        task = ray.remote(max_retries=RETRIES)(function)
        left = iter(items)
        flying: dict[Any, _Item] = {}
        while True:
            for item in left:
                flying[task.remote(item)] = item
                if len(flying) == 2 * workers:
                    break
            if not flying:
                return
            [done], _ = ray.wait(list(flying), num_returns=1)
            item = flying.pop(done)
            try:
                yield ray.get(done)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except ray.exceptions.RayError:
                raise InputError(_died(item)) from None

    try:
        yield run
    finally:
        ray.shutdown()


def _died(item: object) -> str:
    return f"{item}: its workers died {RETRIES + 1} times; is there memory for so many at once?"
