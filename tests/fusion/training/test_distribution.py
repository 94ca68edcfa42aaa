"""A batch divided over two devices trains as it does on one."""

import json
import subprocess
import sys

import numpy as np
import pytest

from fusion.training.trainer import mirrored_strategy

CODE = """
import json, sys
import numpy as np
import tensorflow as tf

tf.config.set_visible_devices([], "GPU")
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from fusion.models import registry
from fusion.training.config import FitLog
from fusion.training.trainer import RankingLearner
from tests.fusion.worlds import courses

catalog, history = courses(items=24)
calls, update = [], RankingLearner._distributed_update
RankingLearner._distributed_update = lambda self, *batch: (calls.append(1), update(self, *batch))[1]
found = {}
for name, more in json.loads(sys.argv[1]).items():
    for devices in (1, 2):
        settings = {"steps_per_epoch": [3, 3], "batch_size": 33, "learning_rate": 0.01, "devices": devices}
        model = registry.create(name, settings | more)
        model.fit(catalog, history, seed=1, tuned=FitLog(best_epoch=2))
        found.setdefault(name, []).append([model.item_vectors(catalog).tolist(), len(calls)])
print(json.dumps(found))
"""
MODELS = {
    "concatenation": {"rank": 4, "optimizer": "sgd"},
    "joint": {"width": 8, "heads": 2, "units": 4, "optimizer": "sgd"},
    "sequence": {"rank": 4, "length": 4, "hidden": 4, "optimizer": "sgd"},
    "weighted": {"rank": 4},
}


@pytest.mark.slow
def test_two_devices_train_as_one_does():
    """33 users a batch: 17 for one device and 16 for the other. Only the order of sums differs."""
    done = subprocess.run([sys.executable, "-c", CODE, json.dumps(MODELS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for name, ((alone, before), (divided, after)) in found.items():
        assert after > before, name
        np.testing.assert_allclose(divided, alone, atol=2e-4, rtol=1e-3, err_msg=name)


def test_more_devices_than_there_are_are_refused():
    assert mirrored_strategy(1) is None
    with pytest.raises(ValueError, match="devices 99: there are"):
        mirrored_strategy(99)
