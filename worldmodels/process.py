"""How a process uses the machine: allocator and threads. Workers that only play a game need no torch."""

import ctypes
import os
import sys

import cv2

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # names and values of glibc's <malloc.h>


def keep_freed_memory() -> None:
    """Let glibc keep freed buffers instead of returning them to the kernel at every step.

    Training frees and takes the same large buffers again and again; page faults on them can cost half of the time. Does
    nothing where the C library has no `mallopt`.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def become_worker() -> None:
    """One thread for everything: a worker is one of many processes on its machine."""
    keep_freed_memory()
    cv2.setNumThreads(0)
    os.environ["OMP_NUM_THREADS"] = "1"  # read by torch, if it is yet to be imported
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))
