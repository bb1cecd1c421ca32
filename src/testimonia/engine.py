"""Where work on shards is done: in processes of this machine, or as tasks of Ray, on this machine or on a cluster.

An engine maps a function over items and gives results in any order. Order, and that each item counts once, come from
what the function writes: a file of its own name, renamed when it is whole. So an item whose worker died is simply
begun again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
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
    """So many processes, spawned; two items for each are in flight."""
    pool: list[ProcessPoolExecutor] = []

    def submitted(function: Callable[[_Item], _Result], item: _Item) -> Future[_Result]:
        while True:
            if not pool:
                pool.append(ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_end_with_parent))
            try:
                return pool[0].submit(function, item)
            except BrokenProcessPool:
                pool.clear()

    def run(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
        left = iter(items)
        flying: dict[Future[_Result], tuple[_Item, int]] = {}
        again: list[tuple[_Item, int]] = []
        while True:
            while len(flying) < 2 * workers:
                if again:
                    item, tries = again.pop()
                else:
                    try:
                        item, tries = next(left), 0
                    except StopIteration:
                        break
                flying[submitted(function, item)] = item, tries
            if not flying:
                return
            done, _ = wait(flying, return_when=FIRST_COMPLETED)
            for future in done:
                item, tries = flying.pop(future)
                try:
                    yield future.result()
                except BrokenProcessPool:
                    if tries == RETRIES:
                        raise InputError(_died(item)) from None
                    again.append((item, tries + 1))

    try:
        yield run
    finally:
        for one in pool:
            one.shutdown(cancel_futures=True)


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


def _end_with_parent() -> None:
    """In a worker: has it end when the process that began it is no more; it would wait for work for ever."""
    parent = parent_process()

    def end() -> None:
        if parent:
            parent.join()
            os._exit(1)

    threading.Thread(target=end, daemon=True).start()


def _died(item: object) -> str:
    return f"{item}: its workers died {RETRIES + 1} times; is there memory for so many at once?"
