"""doit's runner with an event loop: runs execute many at once, each with a rank, and stages are streamed.

doit's dispatcher says what comes next. A stage comes as one task; its runs are made into tasks only as they start,
and dropped when they have ended, so a batch of a million runs never is a million tasks. Tasks that are no runs, from
a hand-written dodo.py, are executed by doit itself, when no run is executing.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from doit.control import ExecNode, TaskDispatcher
from doit.exceptions import BaseFail, InvalidDodoFile
from doit.runner import FAILURE, Runner

from pydoit_sc.batch import Run, Stage, Status, failure_budget, stage_of, task_of
from pydoit_sc.errors import UserError
from pydoit_sc.ledger import Work
from pydoit_sc.made import Picked
from pydoit_sc.order import Order
from pydoit_sc.parts import in_order
from pydoit_sc.plan import Planned, plan
from pydoit_sc.positions import moved
from pydoit_sc.project import Project
from pydoit_sc.show.progress import moved_words
from pydoit_sc.store import StoreError
from pydoit_sc.tasks.dependency import BatchTask
from pydoit_sc.tasks.errors import NoOutcomeError
from pydoit_sc.tasks.nodes import Node, OpenStage, RunNode
from pydoit_sc.tasks.reckoning import Reckoning
from pydoit_sc.tasks.reporter import BatchReporter, fail_of, is_run
from pydoit_sc.tasks.tasks import RunTask, StageTask, check_selected, closure, project_of, runs_of, stages_of
from pydoit_sc.verdicts import Verdict, count, waiting
from pydoit_sc.worker.results import Limits, Result
from pydoit_sc.worker.slots import check_needs, slots

if TYPE_CHECKING:
    from pydoit_sc.worker.executor import Executor


class BatchRunner(Runner):  # type: ignore[misc]
    """Executes the runs of one batch among doit's tasks; `nprocs` None takes the batch's, and lowers its "gpus".

    With `moved` also unnamed runs in whose places other runs' outputs are.
    """

    def __init__(
        self, *args: object, nprocs: int | None, moved: bool, passes: bool, instead: Mapping[str, Any]
    ) -> None:
        super().__init__(*args)
        self.final_result: int
        self.reckoning = self.reporter.reckoning if isinstance(self.reporter, BatchReporter) else Reckoning()
        self._nprocs = nprocs
        self._moved = moved  # runs in the places of others are executed
        self._passes = passes  # what a run writes is shown, where it is the only one
        self._instead = instead  # of a command line, in place of the batchfile
        self._limits: Limits
        self._executor: Executor | None = None  # when the first run is to be executed
        self._executing: dict[str, tuple[Node, OpenStage | None]] = {}  # by the name of the run's task
        self._project: Project
        self._open: dict[str, OpenStage] = {}  # by the stage's name
        self._order = Order([])
        self._released: deque[Run] = deque()  # runs that have waited, and may start
        self._processed: deque[ExecNode] = deque()
        self._planned = False
        self._to_execute = 0
        self._has_completed = False
        #: Stages that others come after: nobody asks for the outcomes of the rest.
        self._awaited: set[str] = set()
        self._alone: set[str] = set()  # keys of runs that have a task of their own
        #: The task that is not completed that one waits for, and its state, by name.
        self._causes: dict[str, tuple[str, str]] = {}

    def run_tasks(self, task_dispatcher: TaskDispatcher) -> None:
        """Execute what the dispatcher gives, runs in parallel."""
        works = self._works(task_dispatcher)
        first = next(works, None)
        if first is None:  # nothing to execute
            return
        from pydoit_sc.tasks.executing import in_folder, make_executor, why_it_ended  # noqa: PLC0415 - only now

        store, completed = self._project.store, self._has_completed
        executor = make_executor(store, self._limits, self.reporter, has_completed=completed)
        self._executor = executor
        try:
            with in_folder(self._project.batch.folder, chain([first], works)) as given:
                for result in executor.run(given):
                    self._conclude(result)
                    if self._stop_running:
                        executor.stop()
        except StoreError as error:
            executor.error = str(error)
        bound = "`max_failures`" if self.continue_ else "--no-continue"
        why, code = why_it_ended(executor, self._to_execute, bound)
        if why:
            self._tell(why)
        self.final_result = code or self.final_result

    def _prepare(self, dispatcher: TaskDispatcher) -> None:
        """Find what bounds the executor, and the runs that have a task of their own.

        Only when the first run is reached: those of doit's `create_after` are made when the task before them has been executed.
        """
        project = project_of(dispatcher.tasks.values())
        assert project is not None
        check_selected(dispatcher)
        project.execute_as(self._instead)
        self._project, batch = project, project.batch
        self._awaited = {name for stage in batch.stages for name in stage.after}
        nprocs, gpus = slots(batch.nprocs, wanted=self._nprocs)
        failures = failure_budget(batch.max_failures, batch.size) if self.continue_ else 1
        self._limits = Limits(nprocs, failures, gpus, batch.scratch, batch.min_free_memory)
        tasks = [dispatcher.tasks[name] for name in closure(dispatcher)]
        self._alone = {task.run.key for task in tasks if isinstance(task, RunTask)}

    def _plan(self, dispatcher: TaskDispatcher) -> None:
        """Plan the selected runs and report the plan: when the first is reached, after the user's own tasks before it."""
        self._planned = True
        tasks = [dispatcher.tasks[name] for name in closure(dispatcher)]
        parts = {task.stage.name: task.stage for task in tasks if isinstance(task, StageTask)}
        chosen = stages_of(self._project, tasks)
        if (strange := moved(self._project.ledger, chosen)) and not self._moved:
            raise UserError(f"{moved_words(strange)}, or execute them with --moved")
        todo: dict[str, array[int]] = {}
        needs: dict[object, Planned] = {}  # a run for each shell with its PATH, and each `slots`
        verdicts = count(self._verdicts(chosen, todo, needs), sum(len(stage.runs) for stage in chosen))
        self._to_execute = sum(number for verdict, number in verdicts.items() if verdict.execute)
        self._has_completed = any(verdict.status is Status.COMPLETED for verdict in verdicts)
        for item in needs.values():
            check_needs(item.stage.task_name(item.run), item.run.settings, self._limits.nprocs)
        whole = {stage.name: stage.runs for stage in self._project.batch.stages}
        picked = {name: Picked(whole[name], positions) for name, positions in todo.items()}
        self._order = Order([(stage, picked.get(stage.name, ())) for stage in in_order(chosen)])
        for stage in parts.values():
            if stage.runs:
                pattern, runs = RunTask(self._project, stage, stage.runs[0]), picked.get(stage.name, ())
                pattern.overwrite_verbosity(self.stream)
                self._open[stage.name] = OpenStage(stage, pattern, runs, len(runs) + 1)
        self.reckoning.planned(verdicts)
        if isinstance(self.reporter, BatchReporter):
            self.reporter.planned(verdicts)
            if self._passes and self._to_execute == 1:
                named = [runs_of(dispatcher.tasks[name]) for name in dispatcher.selected_tasks]
                if sum(map(len, named)) == 1:
                    from pydoit_sc.tasks.passing import Passing  # noqa: PLC0415 - few show what a run writes

                    self.reporter.pass_through(Passing(self._project.store, max(named, key=len)[0].key))

    def _verdicts(
        self, chosen: Sequence[Stage], todo: dict[str, array[int]], needs: dict[object, Planned]
    ) -> Iterator[Verdict]:
        """Yield the verdicts of runs; put the positions of those to execute into `todo`.

        Those that have a task of their own are left out.
        """
        for item in plan(self._project.ledger, chosen, always=self.always_execute):
            if item.verdict.execute:
                if (own := item.run.settings).shell or own.slots > 1:
                    needs.setdefault((own.shell, own.env.get("PATH"), own.slots), item)
                if item.run.key not in self._alone:
                    todo.setdefault(item.stage.name, array("i")).append(item.run.position)
            yield item.verdict

    def _works(self, dispatcher: TaskDispatcher) -> Iterator[Work | None]:
        """Yield the runs to execute: those that have waited first, then in the order of the dispatcher.

        None while all that is left must wait.
        """
        while not self._stop_running:
            yield from self._released_works()
            node = self._next_node(dispatcher)
            if node is None:
                break
            if node == "hold on":
                if not (self._processed or self._released):
                    yield None
            elif isinstance(node.task, (RunTask, StageTask)):
                if not self._planned:
                    self._prepare(dispatcher)
                    self._plan(dispatcher)
                yield from (
                    self._stage_works(node) if isinstance(node.task, StageTask) else self._run_works(node)
                )
            else:
                yield from self._own_task(node, dispatcher)
        while not self._stop_running and (self._released or self._order.is_waiting):
            yield from self._released_works()
            if self._order.is_waiting:
                yield None

    def _next_node(self, dispatcher: TaskDispatcher) -> Any:
        """Return what the dispatcher says comes next, None at its end."""
        try:
            return dispatcher.generator.send(self._processed.popleft() if self._processed else None)
        except StopIteration:
            return None
        except InvalidDodoFile as error:
            if not self.final_result:
                raise
            self._tell(str(error))  # the task has failed that makes what the batchfile reads
            return None

    def _own_task(self, node: ExecNode, dispatcher: TaskDispatcher) -> Iterator[None]:
        """Execute a task that is no run, when no run is executing."""
        if node.task.loader is not None:  # it has come with others, which are known now
            check_selected(dispatcher)
        while self._executor and self._executor.running.count:
            yield None
        if self.select_task(node, dispatcher.tasks):
            self.process_task_result(node, self.execute_task(node.task))
            if self._executor:
                self._executor.leave_children_alone()
            if self._planned:
                self._project.ledger.reread_files()
        self._processed.append(node)

    def _released_works(self) -> Iterator[Work]:
        """Yield the runs that have waited for others, which are completed now."""
        while self._released and not self._stop_running:
            run = self._released.popleft()
            opened = self._open[stage_of(run.key)]
            self._project.ledger.reread_files_of(opened.stage, run)
            if (work := self._begin(opened, run)) is not None:
                yield work

    def _stage_works(self, node: ExecNode) -> Iterator[Work]:
        """Yield the runs of a stage that are to be executed and need not wait."""
        opened = self._open.get(node.task.stage.name)
        if self._blocked(node):
            return
        if node.task.is_ignored:
            self._skip(node)
            return
        if opened is None:
            node.run_status = "successful"
            self._processed.append(node)
            return
        opened.node = node
        # doit's own reporters show each task that is up to date
        todo = None if isinstance(self.reporter, BatchReporter) else {run.key for run in opened.todo}
        for run in opened.todo if todo is None else opened.stage.runs:
            if self._released:
                yield from self._released_works()
            if self._stop_running:
                break
            if run.key in self._alone or self._order.waits(run):
                continue
            if todo is not None and run.key not in todo:
                self._tell_skipped(opened.pattern.sibling(run))
            elif (work := self._begin(opened, run)) is not None:
                yield work
        opened.todo = ()
        self._close(opened)

    def _begin(self, opened: OpenStage, run: Run) -> Work | None:
        """Return the work of a run that the plan has selected; None, with its end recorded, if it is not executed after all."""
        fingerprint, verdict = self._project.ledger.decide(opened.stage, run, always=self.always_execute)
        if fingerprint is not None and not (verdict.execute or self.always_execute):
            self._end(opened, run)
            return None
        node = RunNode(opened.pattern, run)
        if not isinstance(self.reporter, BatchReporter):
            self.reporter.get_status(node.task)
        if fingerprint is not None:
            return self._selected(node, opened, self._project.ledger.work(opened.stage, run, fingerprint))
        self._handle_task_error(node, NoOutcomeError(opened.stage.task_name(run), verdict.words))
        self._end(opened, run, state="not started")
        return None

    def _end(self, opened: OpenStage, run: Run, state: str = "") -> None:
        """Record the end of a run of a stage, `state` if it is not completed, and what it means for those that wait for it."""
        if not state:
            self._released += self._order.succeeded(run)
        else:
            opened.failed = True
            for held in self._order.failed(run):
                self._hold(held, run, state)
        self._close(opened)

    def _hold(self, run: Run, cause: Run, state: str) -> None:
        """Record that a run is not executed, since it waits for one that is not completed."""
        opened = self._open[stage_of(run.key)]
        opened.failed = True
        self.final_result = self.final_result or FAILURE
        verdict = self._project.ledger.verdict(opened.stage, run)
        self._tell_held(task_of(run.key), verdict, task_of(cause.key), state)
        self._close(opened)

    def _tell_held(self, task: str, verdict: Verdict, cause: str, state: str) -> None:
        """Tell that a run is not executed, since it waits for a task that is not completed."""
        held = waiting(verdict, cause, state)
        self.reckoning.held_back(held)
        if not isinstance(self.reporter, BatchReporter):
            self.reporter.runtime_error(f"`{task}` was not started: it waits for {held.detail}")

    def _run_works(self, node: ExecNode) -> Iterator[Work]:
        """Yield a run that has a task of its own, if it is not up to date; doit sees to its order."""
        task: RunTask = node.task
        self._project.ledger.reread_files_of(task.stage, task.run)
        fingerprint, verdict = self._project.ledger.decide(task.stage, task.run, always=self.always_execute)
        is_current = fingerprint is not None and not (verdict.execute or self.always_execute)
        if self._blocked(node):
            if not (task.is_ignored or is_current):
                self._tell_held(task.name, verdict, *self._causes[task.name])
            return
        if task.is_ignored or is_current:
            self._skip(node)
            return
        self.reporter.get_status(task)
        task.overwrite_verbosity(self.stream)
        if fingerprint is not None:
            yield self._selected(node, None, self._project.ledger.work(task.stage, task.run, fingerprint))
            return
        self._handle_task_error(node, NoOutcomeError(task.name, verdict.words))
        self._causes[task.name] = task.name, "not started"
        self._processed.append(node)

    def _selected(self, node: Node, opened: OpenStage | None, work: Work) -> Work:
        if not isinstance(self.reporter, BatchReporter):
            self.reporter.execute_task(node.task)
        self._executing[work.task] = node, opened
        return work

    def _conclude(self, result: Result) -> None:
        """Record the result of a run."""
        node, opened = self._executing.pop(result.work.task)
        record = result.record
        # Of what has a task of its own a `result_dep` may ask for the outcome.
        if record is not None and (opened is None or stage_of(result.work.run.key) in self._awaited):
            self._project.ledger.publish(result.work.run, record)
        fail = fail_of(result)
        self.process_task_result(node, fail)
        if isinstance(self.reporter, BatchReporter):
            self.reporter.left_behind(result.work.task, result.left_behind)
        state = fail.what if isinstance(fail, NoOutcomeError) else "failed" if fail else ""
        if opened is None:
            if state:
                self._causes[result.work.task] = result.work.task, state
            self._processed.append(node)
        else:
            self._end(opened, result.work.run, state)

    def process_task_result(self, node: Node, base_fail: BaseFail | None) -> None:
        """Record a result; the store remembers a run's success, not doit's database."""
        if base_fail is None and (isinstance(node, RunNode) or isinstance(node.task, RunTask)):
            node.run_status = "successful"
            self.reckoning.completed()
            if isinstance(self.reporter, BatchReporter):
                self.reporter.completed()
            else:
                self.reporter.add_success(node.task)
        else:
            super().process_task_result(node, base_fail)

    def _handle_task_error(self, node: Node, base_fail: BaseFail) -> None:
        """Record that a task has failed."""
        if is_run(node.task):
            self.reckoning.failed(node.task.name, base_fail)
        super()._handle_task_error(node, base_fail)

    def _tell(self, why: str) -> None:
        """Tell why the execution ends early."""
        self.reporter.runtime_error(why)
        if not isinstance(self.reporter, BatchReporter):  # which keeps it itself
            self.reckoning.errors.append(why)

    def _close(self, opened: OpenStage) -> None:
        opened.left -= 1
        if opened.left == 0 and opened.node is not None:
            opened.node.run_status = "failure" if opened.failed else "successful"
            self._processed.append(opened.node)

    def _blocked(self, node: ExecNode) -> bool:
        """Return whether a task that this one comes after has failed; its runs then stay as they are."""
        if not node.bad_deps:
            return False
        node.run_status = "failure"
        bad = node.bad_deps[0].task.name
        self._causes[node.task.name] = self._causes.get(bad, (bad, "failed"))
        self.final_result = self.final_result or FAILURE
        self._processed.append(node)
        return True

    def _skip(self, node: ExecNode) -> None:
        """Record that a stage or a run is left as it is: it is ignored, or up to date."""
        node.run_status = "ignore" if node.task.is_ignored else "up-to-date"
        self._tell_skipped(node.task)
        self._processed.append(node)

    def _tell_skipped(self, task: BatchTask) -> None:
        self.reporter.get_status(task)
        (self.reporter.skip_ignore if task.is_ignored else self.reporter.skip_uptodate)(task)
