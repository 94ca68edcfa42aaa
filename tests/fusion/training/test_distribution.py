"""A batch divided over two devices trains as it does on one."""

import json
import subprocess
import sys

import numpy as np
import pytest

CODE = """
import json, sys
import numpy as np
import tensorflow as tf

tf.config.set_visible_devices([], "GPU")
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from fusion.models import registry
from fusion.training.config import FitLog
from fusion.training.ranker import Ranker
from tests.fusion.worlds import courses

catalog, history = courses(items=24)
replicas, call = set(), Ranker.call

def counted(self, inputs, training=False):
    replicas.add(tf.distribute.get_strategy().num_replicas_in_sync)
    return call(self, inputs, training=training)

Ranker.call, found = counted, {}
for name, more in json.loads(sys.argv[1]).items():
    for devices in (1, 2):
        replicas.clear()
        settings = {"steps_per_epoch": [3, 3], "batch_size": 32, "learning_rate": 0.01, "devices": devices}
        settings |= {"item_dropout": 0.0, "modality_dropout": 0.0}
        model = registry.create(name, settings | more)
        model.fit(catalog, history, seed=1, tuned=FitLog(best_epoch=2))
        found.setdefault(name, []).append([model.item_vectors(catalog).tolist(), max(replicas)])
print(json.dumps(found))
"""
MODELS = {
    "joint": {"width": 8, "heads": 2, "units": 4, "optimizer": "sgd"},
    "weighted": {"rank": 4, "optimizer": "sgd"},
}


@pytest.mark.slow
def test_two_devices_train_as_one_does():
    """16 of 32 users for each device. Only the order of sums differs; Adam would make whole steps of what that does to
    gradients near 0."""
    done = subprocess.run([sys.executable, "-c", CODE, json.dumps(MODELS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for name, ((alone, one), (divided, two)) in found.items():
        assert (one, two) == (1, 2), name
        np.testing.assert_allclose(divided, alone, atol=2e-4, rtol=1e-3, err_msg=name)
