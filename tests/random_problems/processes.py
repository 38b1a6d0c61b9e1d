"""Running cases in other processes, so that a crash or a hang costs one case."""

from __future__ import annotations

import multiprocessing as mp
import queue
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

from tests.random_problems.oracle import Outcome, prepare

Work = Callable[..., Outcome]
Item = tuple[str, int]
ORACLE_LIMIT = 60.0


def _serve(pipe: Connection, work: Work, solver: str) -> None:
    prepare(solver)
    while True:
        item = pipe.recv()
        pipe.send(work(*item, before=lambda: pipe.send("the oracle has answered")))


class _Worker:
    """A process that is started again when it dies."""

    def __init__(self, work: Work, solver: str, limit: float) -> None:
        self.work, self.solver, self.limit = work, solver, limit
        self.start()

    def start(self) -> None:
        context = mp.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, self.work, self.solver), daemon=True)
        self.process.start()
        theirs.close()

    def __call__(self, item: Item) -> Outcome:
        verdict, limit = "discarded", ORACLE_LIMIT
        try:
            self.pipe.send(item)
            while self.pipe.poll(limit):
                answer = self.pipe.recv()
                if isinstance(answer, Outcome):
                    return answer
                verdict, limit = "failed", self.limit + 30
            reason = "does not return"
        except (EOFError, OSError):
            reason = "crashed the process"
        self.process.kill()
        self.process.join()
        self.start()
        who = self.solver if verdict == "failed" else "the oracle"
        return Outcome(*item, "unknown", verdict, f"{who} {reason}", limit, ())


def in_processes(work: Work, items: list[Item], jobs: int, solver: str, limit: float) -> Iterator[Outcome]:
    """The outcomes of `work` on every item, in the order of completion."""
    todo: queue.SimpleQueue[Item] = queue.SimpleQueue()
    done: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    for item in items:
        todo.put(item)

    def drive() -> None:
        worker = _Worker(work, solver, limit)
        while True:
            try:
                item = todo.get_nowait()
            except queue.Empty:
                worker.process.kill()
                return
            done.put(worker(item))

    for _ in range(jobs):
        threading.Thread(target=drive, daemon=True).start()
    for _ in items:
        yield done.get()
