"""Of a process that is killed, nothing is left; what others do in its folders is theirs."""

import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest
from processes import processes, seconds_until_clean, shared_memory

from worldmodels import janitor

MASTER = """
import subprocess, time
from worldmodels.temporary import temporary_folder
folder = temporary_folder("ray")
with (folder / "log").open("w") as log:
    servant = subprocess.Popen(["sleep", "1000"], stdout=log, start_new_session=True)
print(servant.pid, folder, flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize("way", ["folder", "link"])
def test_of_a_killed_process_nothing_is_left(way: str, tmp_path: Path) -> None:
    memory = shared_memory()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    environment = os.environ | {"TMPDIR": str(tmp_path / way)}
    with subprocess.Popen([sys.executable, "-c", MASTER], stdout=subprocess.PIPE, text=True, env=environment) as master:
        assert master.stdout is not None
        servant, folder = master.stdout.readline().split()
        with (Path(folder) / "log").open() as log:
            reader = subprocess.Popen(["sleep", "1000"], stdin=log)
        try:
            assert int(servant) in processes()
            assert Path(folder).is_dir()
            master.kill()
            master.wait()
            seconds_until_clean([master.pid, int(servant)], memory)
            assert not list((tmp_path / "folder").iterdir())
            assert reader.poll() is None
        finally:
            reader.kill()
            reader.wait()


def test_shared_memory_of_engines_is_removed_once_nobody_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(f"/dev/shm/ViZDoomSMtest{os.getpid()}")
    path.write_bytes(bytes(4096))
    try:
        janitor.clear_up_engines()
        assert path.exists()  # it is new
        monkeypatch.setattr(janitor, "SETTLED", -1.0)
        with path.open("rb") as file, mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ):
            janitor.clear_up_engines()
            assert path.exists()
        janitor.clear_up_engines()
        assert not path.exists()
    finally:
        path.unlink(missing_ok=True)
