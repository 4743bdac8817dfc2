"""VizDoom's engine as a guest that leaves nothing behind.

The engine is a process of its own, and some of its habits are mended here (on Linux):

- If it is killed while it puts a message into its queue, vizdoom waits for ever. `_outlive` frees the queue.
- It outlives a Python process that was killed, waiting for a message for ever. The launcher asks the kernel
  to kill it then.
- It leaves files in the working directory and 10 MB in /dev/shm. It gets a directory that is gone once it
  runs, and the names of its shared memory are removed as soon as both sides have it open.

So nothing is left however the process ends; if it is killed within the 0.2 s in which an engine starts, its
janitor (`worldmodels.janitor`) removes the rest.
What is not mended: if the *engine* dies within those 0.2 s, vizdoom 1.3.2 crashes the Python process as well.
"""

import ctypes
import mmap
import os
import select
import shlex
import shutil
import struct
import sys
import threading
import time
from pathlib import Path

import vizdoom as vzd

from worldmodels.errors import UserError
from worldmodels.temporary import temporary_folder

# A crash shows as any of these, depending on what the engine was doing when it died.
ENGINE_ERRORS = (
    vzd.ViZDoomErrorException,
    vzd.ViZDoomUnexpectedExitException,
    vzd.ViZDoomIsNotRunningException,
    vzd.MessageQueueException,
    vzd.SharedMemoryException,
)

IWAD = Path(vzd.__file__).with_name("freedoom2.wad")
"""What the engine draws with: textures, sprites, colours."""
ATTEMPTS = 3
"""So many new engines in a row may die at one moment of an episode."""
RECYCLE_AFTER = 500
"""Episodes after which a fresh engine takes over, before what the old one leaks matters; no result changes."""


def start_engine(
    skill: int,
    time_limit: int,
    labels: bool,
    screen: vzd.ScreenFormat = vzd.ScreenFormat.DOOM_256_COLORS8,
) -> vzd.DoomGame:
    """A running engine with the paper's settings; `labels` adds objects and whose each pixel is, no picture changes.

    Screens are numbers of colours (see `worldmodels.envs.doom_screen`): in any other format they take the engine and
    who reads them a quarter longer.

    Raises one of ENGINE_ERRORS if it does not start.
    """
    game = vzd.DoomGame()
    game.set_doom_game_path(str(IWAD))
    game.set_doom_scenario_path(os.path.join(vzd.scenarios_path, "take_cover.wad"))
    game.set_doom_map("map01")
    game.set_doom_skill(skill)
    game.set_available_buttons([vzd.Button.MOVE_LEFT, vzd.Button.MOVE_RIGHT])
    game.set_episode_start_time(14)
    game.set_episode_timeout(time_limit)
    game.set_living_reward(1)
    game.set_screen_resolution(vzd.ScreenResolution.RES_160X120)
    game.set_screen_format(screen)
    game.set_render_hud(False)
    game.set_render_crosshair(False)
    game.set_render_weapon(False)
    game.set_render_decals(False)
    game.set_render_particles(False)
    game.set_render_screen_flashes(False)  # the paper's engine did not draw them into the buffer
    game.set_objects_info_enabled(labels)
    game.set_labels_buffer_enabled(labels)
    game.set_window_visible(False)
    game.set_sound_enabled(False)
    launch(game)
    return game


def launch(game: vzd.DoomGame) -> None:
    """Start the engine of a game that is configured; instead of `game.init()`.

    Raises one of ENGINE_ERRORS if it does not start.
    """
    game.set_doom_config_path(os.devnull)  # or it writes _vizdoom.ini when it ends
    folder = temporary_folder("doom")
    try:
        launcher = _write_launcher(folder)
        if launcher is None:
            game.init()
            return
        game.set_vizdoom_path(str(launcher))
        game.init()
        pid = int((folder / "pid").read_text())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _adopt(pid, game.get_instance_id())


def episode_lost(cause: Exception | None) -> UserError:
    """What to raise once `ATTEMPTS` new engines in a row have died; `cause` is what the last one died of."""
    return UserError(
        f"An episode is lost, since VizDoom's engine died {ATTEMPTS} times in a row ({cause}): see whether this "
        "machine has run out of memory or of space in /dev/shm, then repeat the command."
    )


# Runs between the fork and the engine. It opens a session of its own, so that Ctrl-C reaches only Python;
# asks for SIGKILL when its parent ends (1 is PR_SET_PDEATHSIG; the parent is a thread that vizdoom keeps until
# the engine ends); and goes to the temporary folder, where the engine may leave what it likes.
_LAUNCH = """
import ctypes, os, sys
os.setsid()
ctypes.CDLL(None).prctl(1, 9)
os.chdir(sys.argv[1])
os.execv(sys.argv[2], sys.argv[2:])
"""


def _write_launcher(folder: Path) -> Path | None:
    """Writes the program that starts the engine; None where it cannot run (not Linux, or /tmp is noexec)."""
    if sys.platform != "linux":
        return None
    engine = Path(vzd.__file__).with_name("vizdoom")
    command = shlex.join([sys.executable, "-I", "-S", "-c", _LAUNCH, str(folder), str(engine)])
    launcher = folder / "launch"
    pid = shlex.quote(str(folder / "pid"))  # the shell's becomes the engine's
    launcher.write_text(f'#!/bin/sh\necho $$ > {pid}\nexec {command} "$@"\n', encoding="utf-8")
    launcher.chmod(0o700)
    return launcher if os.access(launcher, os.X_OK) else None


def _adopt(pid: int, instance: str) -> None:
    """Takes a new engine's shared memory out of /dev/shm (both sides have it open) and waits for its end."""
    queues = []
    for kind in ("MQCtr", "MQDoom", "SM"):
        path = Path(f"/dev/shm/ViZDoom{kind}{instance}")
        if kind != "SM":
            with path.open("r+b") as file:
                queues.append(mmap.mmap(file.fileno(), 4096))
        path.unlink()
    threading.Thread(target=_outlive, args=(pid, queues), name=f"engine {pid}", daemon=True).start()


def _outlive(pid: int, queues: list[mmap.mmap]) -> None:
    """Waits until the engine has ended and unlocks the message queues that it died with in its hands.

    A Boost message queue begins with its sizes and, at byte 48, a process-shared pthread mutex (glibc: int lock,
    count, owner, users, kind). It is not a robust one: if its owner dies, it stays locked, and vizdoom's threads
    would wait for it, one to say that the engine has died and one to hear it.
    """
    try:
        engine = os.pidfd_open(pid)
    except ProcessLookupError:
        engine = -1  # already over
    except OSError:
        return  # a kernel before 5.3
    if engine >= 0:
        poll = select.poll()
        poll.register(engine, select.POLLIN)
        poll.poll()
        os.close(engine)
    stale = [_held_by(pid, queue) for queue in queues]
    time.sleep(0.05)  # if the lock has no owner, it may be our own threads': they have moved on by then
    for queue, was_stale in zip(queues, stale, strict=True):
        if was_stale and _held_by(pid, queue):
            mutex = ctypes.addressof(ctypes.c_char.from_buffer(queue, 48))
            ctypes.CDLL(None).pthread_mutex_unlock(ctypes.c_void_p(mutex))


def _held_by(pid: int, queue: mmap.mmap) -> bool:
    """Whether the queue's mutex is locked by this process, or by one about to sign or just signed out."""
    lock, _, owner, _, kind = struct.unpack_from("5i", queue, 48)
    return kind == 128 and lock != 0 and owner in (0, pid)  # 128: process-shared, or this is no mutex
