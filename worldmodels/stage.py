"""A stage's folder: atomic files, and a record of what its result was made from.

It holds `options.json` (written when it starts: the options that decide its result, the fingerprints of the stages it
reads, the versions of the libraries) and `done.json` (written last). A stage without `done.json` is unfinished,
whatever else is there; starting it again with the same options resumes it, with other options refuses.
"""

import contextlib
import fcntl
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from worldmodels.errors import UserError
from worldmodels.files import clear_unfinished, file_digest, read_json, write_json
from worldmodels.options import Section, completed, typed
from worldmodels.records import SCHEMA, check_schema, fingerprint_of, first_difference, versions

CLOCK = "clock.json"


class Stage:
    """One stage's folder within a run.

    Args:
        folder: the stage's folder.
        label: what the stage's result is called in messages, e.g. "V".
        command: the script that makes it, for messages.
        record: called once the stage is entered, to record the run's options; returns what takes that back.
    """

    RECORD = "options.json"
    """The file that holds the stage's options."""

    def __init__(
        self, folder: Path, label: str, command: str, record: Callable[[], Callable[[], object]] | None = None
    ) -> None:
        self.folder, self.label, self.command, self.record = folder, label, command, record

    @property
    def done(self) -> dict[str, Any] | None:
        """Content of `done.json`, or None while the stage is unfinished; UserError if it is damaged."""
        path = self.folder / "done.json"
        if not path.exists():
            return None
        done, record = read_json(path), self._record()
        files, sizes, summary = done.get("files", {}), done.get("sizes", {}), done.get("summary")
        plain = isinstance(files, dict) and isinstance(sizes, dict)
        if not plain or done.get("fingerprint") != fingerprint_of(record, files, summary):
            raise UserError(f"{path} is damaged: delete {self.folder} and run {self.command} again.")
        return done

    def _record(self) -> dict[str, Any]:
        """Content of `options.json`; UserError if it is damaged."""
        record = read_json(self.folder / self.RECORD)
        if not (isinstance(record.get("options"), dict) and isinstance(record.get("upstream"), dict)):
            raise UserError(f"{self.folder / self.RECORD} is damaged: delete {self.folder}.")
        return record

    @property
    def started(self) -> bool:
        """Whether the stage has recorded its options."""
        return (self.folder / self.RECORD).exists()

    def summary(self) -> dict[str, Any]:
        """What a finished stage reported; UserError if it is not finished."""
        done = self.done
        if done is None:
            state = "is not finished" if self.folder.exists() else "is missing"
            raise UserError(f"{self.label} {state} in {self.folder.parent}: run {self.command} first.")
        return dict(done["summary"])

    def options(self) -> dict[str, Any]:
        """The options that the stage was begun with, as plain data."""
        return dict(self._record()["options"])

    @property
    def upstream(self) -> dict[str, str]:
        """Fingerprints of the stages that this one was made from, by the names of their folders."""
        return dict(self._record()["upstream"])

    def check_options(self, asked: Mapping[str, Any]) -> None:
        """Raise UserError unless the stage was begun with these options, which need not be all that it has."""
        plain, recorded = json.loads(json.dumps(asked)), self.options()
        self._check_same({name: recorded[name] for name in plain if name in recorded}, plain)

    def section(self, kind: type[Section], name: str) -> Section:
        """One section of these options, typed; UserError if it is missing or damaged."""
        section, path = self.options().get(name), self.folder / self.RECORD
        if not isinstance(section, dict):
            raise UserError(f"{path} is damaged: it lacks the section {name}.")
        return typed(kind, section, str(path))

    def seconds(self) -> float:
        """Wall-clock time spent in the stage, without that of processes which were killed."""
        path = self.folder / CLOCK
        try:
            return float(read_json(path)["seconds"]) if path.exists() else 0.0
        except (UserError, KeyError, TypeError, ValueError):
            return 0.0  # a damaged clock is no reason to stop

    def fingerprint(self) -> str:
        """Digest that names a finished stage's result: its options, what it was made from, and its files."""
        self.summary()
        return str((self.done or {})["fingerprint"])

    @contextlib.contextmanager
    def begin(self, options: Mapping[str, Any], needs: Sequence["Stage"] = ()) -> Iterator[None]:
        """Be in the stage: its inputs are finished, its options those it was begun with, and nobody else is in it.

        Raises UserError if an earlier stage is unfinished, if the folder was made with other options or from other
        inputs, or if another process works in it. The run's options are recorded unless the stage is finished: a later
        stage may yet refuse them. If this one does so itself, those that were recorded before stay.
        """
        upstream = {stage.folder.name: stage.fingerprint() for stage in needs}
        for stage in needs:
            stage.verify()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"The folder {self.folder} cannot be made: {error.strerror}.") from error
        with self._lock():
            clear_unfinished(self.folder)
            made_from = {"schema": SCHEMA, "options": dict(options), "upstream": upstream}
            is_new = not self.started
            if not is_new:
                self._compare(self._record(), json.loads(json.dumps(made_from)))
            else:
                write_json(self.folder / self.RECORD, made_from | {"versions": versions()})
            take_back = self.record() if self.record and self.done is None else None
            begin = time.monotonic()
            try:
                yield
            except UserError:
                untouched = {path.name for path in self.folder.iterdir()} <= {".lock", CLOCK, self.RECORD}
                if is_new and untouched:
                    (self.folder / self.RECORD).unlink()  # refused before any work: free for other options
                if take_back and (untouched or not is_new):
                    take_back()
                raise
            finally:
                with contextlib.suppress(OSError):  # a disk that is full: what raised that is to be heard of
                    write_json(self.folder / CLOCK, {"seconds": self.seconds() + time.monotonic() - begin})

    def verify(self) -> None:
        """Raise UserError if a file of a finished stage is missing, or is not what it was when the stage finished."""
        done = self.done or {}
        files, sizes = done.get("files", {}), done.get("sizes", {})
        for name, digest in files.items():
            path = self.folder / name
            there = Path(name).name == name and path.is_file()
            # what has grown may be endless; stages of older versions have no sizes
            if not there or path.stat().st_size != sizes.get(name, path.stat().st_size) or file_digest(path) != digest:
                raise UserError(f"{path} is missing or damaged: delete {self.folder} and run {self.command} again.")

    def reopen(self) -> None:
        """Take back `done.json`, because more of the same is asked for."""
        if self.done is None:
            return  # the run's options were recorded when the stage was begun
        if self.record:
            self.record()
        (self.folder / "done.json").unlink()

    def finish(self, summary: Mapping[str, Any], artefacts: Sequence[str] = ()) -> None:
        """Mark the stage as finished; `artefacts` are the files that its fingerprint covers."""
        digests = {name: file_digest(self.folder / name) for name in artefacts}
        fingerprint = fingerprint_of(self._record(), digests, dict(summary))
        sizes = {name: (self.folder / name).stat().st_size for name in artefacts}
        done = {"fingerprint": fingerprint, "summary": dict(summary), "files": digests, "sizes": sizes}
        write_json(self.folder / "done.json", done)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold the folder's lock, which the kernel frees even when this process is killed."""
        with (self.folder / ".lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise UserError(f"Another process works in {self.folder}: wait for it, or stop it.") from error
            yield

    def _compare(self, recorded: dict[str, Any], asked: dict[str, Any]) -> None:
        check_schema(recorded.get("schema"), self.folder)
        for name, fingerprint in asked["upstream"].items():
            if recorded["upstream"].get(name) != fingerprint:
                raise self.of_another(name)
        self._check_same(recorded["options"], asked["options"])

    def of_another(self, name: str) -> UserError:
        """What to say of a stage that was made from another one than that now in the folder `name`."""
        return UserError(
            f"{self.folder} was made from another {name} than the one that the run now has: "
            f"delete {self.folder} to make it again, or use a new --run."
        )

    def _check_same(self, recorded: dict[str, Any], asked: dict[str, Any]) -> None:
        if difference := first_difference(completed(recorded, asked), asked):
            key, old, new = difference
            raise UserError(
                f"{self.folder} was made with {key} = {old}, and {new} is asked for: "
                f"keep {old}, delete the folder to make it again, or use a new --run."
            )
