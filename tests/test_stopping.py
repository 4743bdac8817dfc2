"""Ctrl-C and SIGTERM end a script with one sentence, and nothing stays behind, of Ray neither."""

import signal
import subprocess
import sys

import pytest
from processes import below, seconds_until_clean, shared_memory

SCRIPT = """
import signal, sys, time
from worldmodels.cli import guarded
from worldmodels.config import ComputeConfig
from worldmodels.workers import Pool

class Sleep:
    def __call__(self, number):
        print(number, flush=True)
        time.sleep(1000 * number)
        return number

def work():
    with Pool(Sleep, ComputeConfig(workers=int(sys.argv[1]))) as pool:
        for number in pool.map([0, 1]):
            print("asleep", flush=True)

signal.signal(signal.SIGINT, signal.default_int_handler)  # it may have been ignored where the tests were started
guarded(work)
"""
STATUS = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGKILL: -9}


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("number", STATUS)
def test_a_script_that_is_stopped_leaves_nothing(number: signal.Signals, workers: int) -> None:
    memory = shared_memory()
    command = [sys.executable, "-c", SCRIPT, str(workers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while (line := process.stdout.readline()) != "asleep\n":
            assert line, process.stderr.read()
        started = [process.pid, *below(process.pid)]
        assert (len(started) > 3) == (workers > 0)
        process.send_signal(number)
        assert process.wait(60) == STATUS[number]
        seconds_until_clean(started, memory)
        sentence = "Stopped. Repeat the command to go on from what is saved.\n"
        assert process.stderr.read() == ("" if number == signal.SIGKILL else sentence)
