"""What a machine has and lacks is said in a line each, with what to do."""

import json
import socket
import sys
from pathlib import Path

import pytest

from jobs.cli import main
from jobs.setup import doctor
from schemas.config import Config


def test_a_line_names_the_state_the_thing_and_the_remedy() -> None:
    assert str(doctor.Finding("ok", "cores", "2")) == "ok       cores: 2"
    assert (
        str(doctor.Finding("missing", "Java", "none\n at all", "install it"))
        == "missing  Java: none at all; install it"
    )


@pytest.mark.parametrize(("limit", "state"), [(2 * 2**30, "warn"), (10**15, "ok"), ("max", "ok")])
def test_memory_is_that_of_the_container(
    limit: object, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    monkeypatch.setattr(doctor, "CGROUP", tmp_path / "memory.max")
    monkeypatch.setattr(doctor, "MEMORY_GIB", 3 if state == "warn" else 0)
    found = doctor._memory()
    assert found.state == state
    assert found.detail == "2.0 GiB" or state == "ok"


def test_spark_is_asked_whether_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_SPARK_DEFAULT", raising=False)
    assert doctor._spark_master().state == "ok"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        given = json.dumps({"conn_type": "spark", "host": "spark://127.0.0.1", "port": port})
        monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", given)
        assert doctor._spark_master() == doctor.Finding("ok", "Spark", "spark://127.0.0.1 answers")
    assert doctor._spark_master().state == "missing"
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", "{no json")
    assert doctor._spark_master().state == "missing"


def test_weights_that_are_not_there_are_missing(tmp_path: Path) -> None:
    image = {"name": "onnx", "parameters": {"file": str(tmp_path / "model.onnx")}}
    config = Config.model_validate({"extract": {"encoders": {"image": image, "text": {"name": "bag-of-words"}}}})
    found = {finding.what: finding for finding in doctor._weights(config)}
    assert found["encoder of text"].state == "ok" and found["encoder of text"].detail.startswith("bag-of-words, ")
    assert found["encoder of image"].state == "missing" and "extract.encoders.image" in found["encoder of image"].remedy


def test_a_gpu_that_the_configuration_asks_for_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has a GPU")
    assert doctor._gpu(Config()).state == "ok"
    asking = Config.model_validate({"extract": {"spark": {"spark.task.resource.gpu.amount": "1"}}})
    assert doctor._gpu(asking).state == "missing"


def test_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("raw", "lake"):
        monkeypatch.delenv(f"NIGHTWEAVE_{name.upper()}", raising=False)
    assert doctor._raw(None).state == "warn" and "NIGHTWEAVE_RAW" in doctor._raw(None).detail
    assert doctor._raw(str(tmp_path / "nowhere")).state == "missing"
    assert doctor._raw(str(tmp_path)).state == "warn"
    (tmp_path / "items" / "ds=2026-11-01").mkdir(parents=True)
    assert doctor._raw(str(tmp_path)).state == "ok"
    (tmp_path / "file").touch()
    assert next(doctor._lake(str(tmp_path / "file"))).state == "missing"
    assert [one.what for one in doctor._lake(str(tmp_path / "lake"))] == [
        "LAKE", "disk of LAKE", "disk for temporary files",
    ]  # fmt: skip
    assert not (tmp_path / "lake").exists()


def test_dags_that_do_not_parse_and_a_child_that_ends_are_told() -> None:
    with doctor._child(doctor.PARSE, "nowhere.to_be_found", "json", environment={}) as process:
        (found,) = [one for one in doctor._airflow_findings(process) if one.what == "DAGs"]
    assert found.state == "missing" and "nowhere.to_be_found: ModuleNotFoundError" in found.detail
    with doctor._child("import sys; sys.exit('no such library')", environment={}) as process:
        (found,) = doctor._airflow_findings(process)
    assert (found.state, found.detail) == ("missing", "no such library")


def test_the_command_ends_with_1_where_something_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "_dag_modules", lambda: ["json"])
    (tmp_path / "night.yaml").write_text("extract: {encoders: {text: {name: bag-of-wrods}}}")
    where = ["--raw", str(tmp_path), "--lake", str(tmp_path / "lake"), "--config", str(tmp_path / "night.yaml")]
    monkeypatch.setattr(sys, "argv", ["nightweave", "doctor", *where])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert ended.value.code == 1 and not printed.err
    missing = [line for line in printed.out.splitlines() if line.startswith("missing")]
    assert len(missing) == 2 and "did you mean bag-of-words?" in missing[0]
