"""Leases on an object store: which workers are alive, and what each of them holds.

A worker renews its lease by replacing one version of an object, so it cannot renew a lease that another worker has
ended. If it has not renewed in time (it was frozen, or cut off), it renews before it writes anything. What it was doing
under a lease that has ended, it gives up; under another one, of another name, it may begin again. A lease that was not
renewed for `TTL` is ended by a worker that waits for it. Both times are the store's own, so it compares no two clocks;
where a store tells no times, it watches for that long. A worker that died on the same machine is noticed at once.

The replacing of an outcome is held by an object with the holder's name, as long as that worker's lease lasts. Runs are
held by the lease itself: a worker writes it with the runs that it wants to execute, then looks at all the others. Of
two that want the same run, at least the one that wrote later sees it with the other, and draws back; where both did,
both ask again, at random times. So a few requests hold many runs. No outcome depends on these holds.

A lease that has come to its end stays for a day, and tells others that somebody may have published since they looked.
That of a dead worker tells, too, what it held and executed: see store/deaths.py.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from functools import partial
from itertools import repeat
from typing import NamedTuple, TypeVar

from pydoit_sc.batch import OURS
from pydoit_sc.proc import is_running, machine, started_at
from pydoit_sc.retries import pauses, retry
from pydoit_sc.store.base import HeldError, StoreError
from pydoit_sc.store.blobs import Blob, Blobs, ChangedError, get_all
from pydoit_sc.store.deaths import Death, Suspects, digest_of, last_deaths, read_death
from pydoit_sc.store.documents import Hold, Lease
from pydoit_sc.store.stamps import Live, read
from pydoit_sc.store.workers import are_apart, name_worker
from pydoit_sc.threads import aside

TTL = 60.0  # seconds from a renewal until a lease may be ended by others
RENEW_EVERY = TTL / 4
TELL_EVERY = 5.0  # seconds from a renewal until the next one, where the worker executes other runs since
MARGIN = TTL / 4  # so long before its end the worker renews first: a request may be under way for this time
LOOK_EVERY = 1.0  # seconds between two looks at what another worker holds
_KEPT = 86400.0  # seconds for which a lease is kept that has ended
_DOUBT = 2.0  # seconds: some stores' times are whole ones
_TAKES = 20  # tries to hold what changes hands meanwhile
_BEGIN_AGAIN = (1.0, 3.0)  # seconds before the second and the third try to write a new lease

_FOLDER = f"{OURS}/leases"

H = TypeVar("H", bound=Hold)
T = TypeVar("T")


class FencedError(StoreError):
    """Another worker has ended the worker's lease, and may publish what this one has not."""


class Held(NamedTuple):
    """The answer to a worker that wants to hold runs."""

    taken: Mapping[str, str]  # who has those that it does not get
    others: bool  # whether anybody else can have published a run since the first scan
    deaths: Mapping[str, int]  # how many workers in a row have died while they executed a run; 0 is left out


class Leases:
    """The leases of a store, as one process sees them."""

    def __init__(self, blobs: Blobs, url: str) -> None:
        self._blobs, self._url = blobs, url
        self.worker = ""  # the name of the lease that is kept here; "": none is
        self._version = ""
        self._renewed = 0.0
        self.breaks = 0  # renewals that came so late that others may have held this worker for dead
        self._over = ""  # the message once another worker has ended it, until there is another one
        self._live: Mapping[str, Live] = {}
        self._told: Mapping[str, Live] = self._live  # what the last renewal has said
        #: Digests of the keys of runs. It is changed in single steps, without the mutex: a request may hold that for long.
        self._holds: set[str] = set()
        self._suspects = Suspects()
        self._dead: dict[str, Death] = {}  # what leases of dead workers say, by path
        self._away_since: float | None = None
        self._scanned: float | None = None  # when the store was first scanned
        self._mutex = threading.RLock()
        self._seen: dict[str, tuple[float, float]] = {}  # without times: what a lease says, since when

    @contextmanager
    def keep(self, worker: str) -> Iterator[None]:
        """Keep a lease for a worker, and renew it, until the end; the first has the worker's name."""
        self._live = {}
        retry(partial(self._begin, worker), _BEGIN_AGAIN)
        end = threading.Event()
        thread = aside(partial(self._keep_renewing, end))
        try:
            yield
        finally:
            end.set()
            thread.join()
            if not self._over:
                with suppress(Exception):  # it ends without
                    self._end(Lease(worker=self.worker), self._version)
            self.worker = ""

    def _begin(self, name: str) -> None:
        """Write a new lease, which holds nothing; raises what the store raises."""
        began = _now()
        self._holds.clear()
        self._suspects = Suspects()
        self._version = self._blobs.put(f"{_FOLDER}/{name}", self._text(name))
        self.worker, self._renewed, self._over, self._away_since = name, began, "", None

    def _keep_renewing(self, end: threading.Event) -> None:
        with suppress(Exception):  # what is wrong with the store, others find
            self._blobs.check_conditions(f"{OURS}/conditional")
        while not end.wait(LOOK_EVERY):
            every = RENEW_EVERY if self._told is self._live else min(TELL_EVERY, RENEW_EVERY)
            if self._over or _now() - self._renewed > every:
                try:
                    self.current() if self._over else self.renew()
                except FencedError:
                    continue
                except Exception:
                    self._away_since = self._away_since or _now()
                    end.wait(next(pauses(1, RENEW_EVERY / 4)))

    def current(self) -> str:
        """Return the name of the lease; takes another one where it was ended. Raises what the store raises."""
        with self._mutex:
            if self._over:
                self._begin(name_worker())
            return self.worker

    def renew(self) -> None:
        """Renew the lease; raises FencedError where it was ended, and what the store raises."""
        with self._mutex:
            if self._over:
                raise FencedError(self._over)
            began, text = _now(), self._text(self.worker)
            path = f"{_FOLDER}/{self.worker}"
            for _ in range(_TAKES):
                try:
                    self._version = self._blobs.update(path, text, self._version)
                    break
                except ChangedError:
                    self._version = self._still_own(path)
            else:
                raise StoreError(
                    f"{self._url}/{path}: has changed {_TAKES} times; something else writes there"
                )
            self.breaks += _now() - self._renewed > TTL
            self._renewed, self._away_since = began, None

    def _still_own(self, path: str) -> str:
        """Return the version of the lease, our own renewal whose reply was lost; raises FencedError where it was ended."""
        there = self._read(Lease, path)
        if there is None or there[0].ended_by is not None:
            by = f"worker {there[0].ended_by}" if there and there[0].ended_by else "another worker"
            self._over = f"{self._url}: worker {self.worker} did not renew its lease for {TTL:g} s, and {by} has ended it"
            raise FencedError(self._over) from None
        return there[1].version

    def check(self, name: str | None = None) -> None:
        """Return if the worker may write now, under the lease of this name; raises FencedError where it may not.

        Raises what the store raises.
        """
        if not self.worker:
            return  # to write a note takes no lease
        if self._over:
            raise FencedError(self._over)
        if name not in (None, self.worker):
            raise FencedError(f"{self._url}: the lease {name} has been ended")
        if not self.is_recent:
            self.renew()

    @property
    def is_recent(self) -> bool:
        """Whether the worker may write now, without a request."""
        return not self._over and _now() - self._renewed <= TTL - MARGIN

    @property
    def away(self) -> float:
        """The seconds since the store has first refused a renewal, if it has taken none since."""
        return 0.0 if self._away_since is None else _now() - self._away_since

    def announce(self, live: Mapping[str, Live]) -> None:
        """Have the next renewal say what the worker is executing; it comes within TELL_EVERY seconds."""
        self._live = live

    def running(self) -> Mapping[str, Live]:
        """Return what workers whose lease is recent say they are executing, by key: by our clock, unless it is behind."""
        renewed = {blob.path: blob.modified for blob in self._blobs.list(_FOLDER)}
        recent = max(time.time(), 0.0, *filter(None, renewed.values())) - 3 * TTL
        fresh = (path for path, when in renewed.items() if when is None or when > recent)
        live: dict[str, Live] = {}
        for path, data in get_all(self._blobs, fresh).items():
            lease = read(Lease, data) or Lease()
            is_recent = (renewed[path] or lease.time) > recent
            if is_recent and lease.ended_by is None and _is_here(lease) is not False:
                live.update(lease.running)
        return live

    def is_alive(self, worker: str) -> str:
        """Return which worker it is, and where, if it may be alive; else end its lease and return ""."""
        there = self._read(Lease, f"{_FOLDER}/{worker}")
        if there is None or there[0].ended_by is not None:
            return ""
        lease, blob = there
        where = f"worker {worker} on {lease.host}"
        if _is_here(lease) is not False and not self._is_old(lease, blob):
            return where
        self.check()
        try:
            self._end(lease.model_copy(update={"worker": worker}), blob.version)
        except ChangedError:
            return where  # it has been renewed meanwhile
        return ""

    def _end(self, lease: Lease, version: str) -> None:
        ended = lease.model_copy(update={"ended_by": self.worker})
        self._blobs.update(f"{_FOLDER}/{lease.worker}", ended.to_json(), version)

    def _is_old(self, lease: Lease, blob: Blob) -> bool:
        if blob.modified is not None:
            self.renew()  # to get the store's time now
            own = self._read(Lease, f"{_FOLDER}/{self.worker}")
            if own and own[1].modified is not None:
                return own[1].modified - blob.modified > TTL
        return self._seems_old(lease, blob.path)

    def _seems_old(self, lease: Lease, path: str) -> bool:
        """Return whether a lease has not changed for as long as it may last, in a store that tells no times."""
        said, since = self._seen.setdefault(path, (lease.time, _now()))
        if said != lease.time:
            self._seen[path] = (lease.time, _now())
        return said == lease.time and _now() - since > TTL

    def scanned(self) -> None:
        """Note when the store was first scanned: what others publish from now on is not known."""
        if self._scanned is None:
            self._scanned = _now()

    def hold(self, keys: Iterable[str]) -> Held:
        """Hold runs for the worker. Raises FencedError, and what the store raises."""
        wanted = {digest_of(key): key for key in keys}
        taken, _ = self._look(wanted.keys())
        free = wanted.keys() - taken.keys()
        deaths = last_deaths(self._blobs, {d: wanted[d] for d in free}, self._dead.values())
        self._holds |= free
        self._suspects.add(deaths)
        try:
            self.renew()  # also where none is free: it tells what is held no longer
            late, others = self._look(free) if free else ({}, False)
        except BaseException:
            self._drop(free)
            raise
        if late:
            self._drop(late)
            self.renew()
        gone = {wanted[digest]: f"{who} executes it" for digest, who in {**taken, **late}.items()}
        return Held(gone, others, {wanted[digest]: count for digest, count in deaths.items() if count})

    def holds(self, key: str) -> bool:
        """Return whether the lease of now holds a run, as far as the worker knows."""
        return digest_of(key) in self._holds

    def is_suspect(self, key: str) -> bool:
        """Return whether a dead worker held a run, and nobody has been told yet that it starts here."""
        return self._suspects.has_to_tell(digest_of(key))

    def tell_start(self, key: str) -> None:
        """Tell others that a suspect starts. Raises FencedError, and what the store raises."""
        with self._suspects.starting(digest_of(key)):
            self.renew()

    def let_go(self, key: str) -> None:
        """Hold a run no longer; others are told with the next renewal."""
        self._drop((digest_of(key),))

    def _drop(self, digests: Iterable[str]) -> None:
        for digest in digests:
            self._holds.discard(digest)
            self._suspects.discard(digest)

    def _look(self, wanted: Set[str]) -> tuple[Mapping[str, str], bool]:
        """Return who holds which of these runs, by their digests, and whether anybody else was at work since the scan.

        Leases that are old are ended where they hold one; what those of dead workers say is kept.
        """
        there = {blob.path: blob for blob in self._blobs.list(_FOLDER)}
        own = there.pop(f"{_FOLDER}/{self.worker}", None)
        renewed = own.modified if own else None
        ages = {
            path: renewed - blob.modified if renewed is not None and blob.modified is not None else None
            for path, blob in there.items()
        }
        if old := [path for path, age in ages.items() if age is not None and age > _KEPT]:
            with suppress(Exception):  # the next one does
                self._blobs.delete(old)
        others = {
            path: age for path, age in ages.items() if not are_apart(self.worker, path.rpartition("/")[2])
        }
        known_for = _now() - self._scanned + _DOUBT if self._scanned is not None else math.inf
        at_work = any(age is None or age < known_for for age in others.values())
        taken: dict[str, str] = {}
        news = (path for path, age in others.items() if self._is_news(there[path], age))
        for path, data in get_all(self._blobs, news).items():
            lease, age = read(Lease, data) or Lease(), others[path]
            is_old = self._seems_old(lease, path) if age is None else age >= TTL
            is_over = lease.ended_by is not None or _is_here(lease) is False
            if is_over or is_old:
                self._dead[path] = read_death(lease, there[path].modified, is_over=is_over)
            else:
                self._dead.pop(path, None)
                who = f"worker {lease.worker} on {lease.host}"
                taken.update(dict.fromkeys(wanted & set(lease.holds), who))
        for path, death in self._dead.items():
            if not death.is_over and wanted & death.counts.keys():
                # Its worker may only have been away, and must not go on with what is taken from it.
                if who := self.is_alive(path.rpartition("/")[2]):
                    taken.update(dict.fromkeys(wanted & death.counts.keys(), who))
                else:
                    self._dead[path] = death._replace(is_over=True)
        return taken, at_work

    def _is_news(self, blob: Blob, age: float | None) -> bool:
        """Return whether a lease has to be read. An old one has not, if it is known, or its worker has ended it itself."""
        if age is None or age < TTL:
            return True
        name = blob.path.rpartition("/")[2]
        return blob.path not in self._dead and blob.size != len(Lease(worker=name, ended_by=name).to_json())

    def take(self, name: str) -> None:
        """Hold something for the worker whose lease is kept here; raises HeldError where another one holds it."""
        path, text = f"{OURS}/{name}", Hold(worker=self.worker).to_json()
        for _ in range(_TAKES):
            self.check()
            try:
                self._blobs.create(path, text)
                return
            except FileExistsError:
                there = self._read(Hold, path)
            if there is None:
                continue  # it was released just now
            holder = there[0].worker
            if holder == self.worker:
                return  # ours: the reply was lost
            if holder and (alive := self.is_alive(holder)):
                raise HeldError(f"{self._url}: {name} is held by {alive}")
            with suppress(ChangedError):
                self._blobs.update(path, text, there[1].version)
                return
        raise HeldError(f"{self._url}: {name} has changed hands {_TAKES} times")

    def release(self, name: str) -> None:
        """Hold something no longer; a failure is ignored, since a hold ends with the lease."""
        with suppress(Exception):
            self.check()
            self._blobs.delete([f"{OURS}/{name}"])

    def _read(self, model: type[H], path: str) -> tuple[H, Blob] | None:
        """Return a document, an empty one where it is not sound, and its version; None where there is none."""
        try:
            data, blob = self._blobs.read(path)
        except FileNotFoundError:
            return None
        return read(model, data) or model(), blob._replace(path=path)

    def _text(self, name: str) -> bytes:
        self._told = self._live
        return Lease(
            worker=name,
            host=os.uname().nodename,
            here=machine(),
            pid=os.getpid(),
            started=started_at(os.getpid()),
            time=time.time(),
            running=dict(self._told),
            holds=sorted(self._holds),
            deaths=dict(self._suspects.counts),
        ).to_json()


def wait_for(take: Callable[[], T], seconds: float | None = None) -> T:
    """Return what a call returns; call again while it raises HeldError, for so long, or until the other's lease is over."""
    waits = repeat(LOOK_EVERY) if seconds is None else repeat(LOOK_EVERY, round(seconds / LOOK_EVERY))
    return retry(take, waits, when=lambda error: isinstance(error, HeldError))


def _now() -> float:
    """Return seconds on a clock that is never set, and that goes on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _is_here(lease: Lease) -> bool | None:
    """Return whether a worker is alive on this machine; None if it is, or was, on another."""
    return is_running(lease.pid, lease.started) if lease.here == machine() else None
