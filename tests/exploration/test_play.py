import pickle
import subprocess
import sys

from worldmodels.collect.jobs import job_maker
from worldmodels.options import load_config

ALONE = """
import pickle, sys
import worldmodels.workers
from worldmodels.process import become_worker
become_worker()
job = pickle.loads(sys.stdin.buffer.read())()
(episode,) = job([5])
assert len(episode) == 20
assert "torch" not in sys.modules
import torch
assert torch.get_num_threads() == 1
"""


def test_workers_that_only_explore_need_no_torch() -> None:
    config = load_config(["car_racing"], {"collect": {"max_steps": 20}})
    work = pickle.dumps(job_maker(config, None))
    subprocess.run([sys.executable, "-c", ALONE], input=work, check=True, timeout=120)
