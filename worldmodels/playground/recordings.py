"""A visitor's recordings, from the first frame to files that can be downloaded."""

import asyncio
import secrets
import traceback

from worldmodels.errors import UserError
from worldmodels.pictures import Frames
from worldmodels.playground.outlet import Outlet
from worldmodels.playground.recorder import Files, Recorder
from worldmodels.playground.threads import OwnThread


class Recordings:
    """One recording at a time, written by a thread that all visitors share while the dream goes on.

    Args:
        scribe: that thread.
        outlet: to the page, which is told when the files are there and what goes wrong.

    Attributes:
        files: the newest recording, by its secret address.
    """

    def __init__(self, scribe: OwnThread, outlet: Outlet) -> None:
        self._scribe, self._outlet = scribe, outlet
        self._recorder: Recorder | None = None
        self._writing: asyncio.Task | None = None
        self.files: dict[str, Files] = {}

    @property
    def seconds(self) -> float | None:
        """Length of the recording under way; None if there is none."""
        return None if self._recorder is None else self._recorder.seconds

    def begin(self, fps: float, panes: int) -> None:
        """Begin to record, see `Recorder`, unless it has begun."""
        if self._writing is not None:
            self._outlet.say("problem", text="The last recording is still being written.")
        elif self._recorder is None:
            self._recorder = Recorder(fps, panes)

    def add(self, pictures: list[Frames], text: str, note: str) -> None:
        """Record a moment, if a recording is under way; one that is full ends."""
        if self._recorder is not None:
            self._recorder.add(pictures, text, note)
            if self._recorder.full:
                self.end()

    def end(self) -> None:
        """Write the files of the recording under way, if there is one."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            self._writing = asyncio.create_task(self._write(recorder))

    async def _write(self, recorder: Recorder) -> None:
        self._outlet.say("writing", seconds=recorder.seconds)
        try:
            files = await self._scribe.do(recorder.files)
        except UserError:
            self._outlet.say("problem", text="Nothing was recorded: the dream stood still.")
        except Exception as error:
            traceback.print_exception(error)
            self._outlet.say("problem", text=f"The recording could not be written: {error}")
        else:
            address = secrets.token_urlsafe(16)
            self.files = {address: files}
            sizes = {kind: len(content) for kind, content in files._asdict().items()}
            self._outlet.say("recording", address=address, seconds=recorder.seconds, sizes=sizes)
        finally:
            self._writing = None

    def close(self) -> None:
        """Leave what is being written."""
        if self._writing is not None:
            self._writing.cancel()
