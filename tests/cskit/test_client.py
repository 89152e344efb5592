"""cs-kit from PyPI, unmodified, against a real server with a real model."""

import json
import os
import subprocess
from pathlib import Path

import cs_kit
import fsspec
import pandas
import pytest
from cs_kit import filespec
from cs_kit.exceptions import APIException

ROOT = Path(__file__).resolve().parents[2]
CSW = os.environ.get("CSW", str(ROOT / "target/debug/csw"))
PASSWORD = "a long enough password"


def csw(*arguments, **keywords):
    done = subprocess.run([CSW, *arguments], capture_output=True, text=True, **keywords)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of a server with finlab/Mortgage, and finlab's token."""
    data = tmp_path_factory.mktemp("site")
    server = subprocess.Popen(
        [CSW, "up", "--data", str(data), "--listen", "127.0.0.1:0", "--json"],
        stdout=subprocess.PIPE, stderr=(data / "log").open("w"), text=True,
    )
    try:
        url = json.loads(server.stdout.readline())["url"]
        made = csw("accounts", "create", "finlab", "--role", "member", "--password-stdin", "--data", str(data), "--json",
                   input=PASSWORD + "\n")
        token = json.loads(made)["token"]
        csw("models", "-n", "finlab/Mortgage", "publish", "--skip-test", "--repo", str(ROOT / "examples/models/finlab/Mortgage"),
            env={**os.environ, "CS_URL": url, "CS_API_TOKEN": token})
        yield url, token
    finally:
        server.terminate()
        server.wait(timeout=60)


@pytest.fixture
def client(site, monkeypatch):
    url, token = site
    monkeypatch.setattr(cs_kit.ComputeStudio, "host", url)
    return cs_kit.ComputeStudio("finlab", "Mortgage", api_token=token)


def test_a_simulation_from_its_creation_to_its_results(client):
    simulation = client.create(adjustment={"Loan": {"amount": 250000}}, meta_parameters={"convention": "Canada"})
    number = simulation["model_pk"]
    detail = client.detail(number)
    assert detail["status"] == "SUCCESS" and detail["owner"] == "finlab"
    assert detail["outputs"]["version"] == "v1"
    assert client.detail(number, include_outputs=True)["outputs"]["renderable"][0]["data"]
    results = client.results(number)
    assert results and all(isinstance(result, pandas.DataFrame) for result in results.values())
    inputs = client.inputs(number)
    assert inputs["status"] == "SUCCESS"
    assert inputs["adjustment"]["Loan"]["amount"] in (250000, [{"value": 250000}])


def test_the_schema(client):
    inputs = client.inputs()
    assert "convention" in inputs["meta_parameters"] and "Loan" in inputs["model_parameters"]


def test_an_update_changes_what_it_names_and_nothing_else(client):
    number = client.create()["model_pk"]
    updated = client.update(number, title="A house", is_public=True)
    assert updated["title"] == "A house" and updated["is_public"] is True
    assert client.update(number, notify_on_completion=True)["is_public"] is True


def test_invalid_inputs_are_told(client):
    with pytest.raises(APIException) as refused:
        client.create(adjustment={"Loan": {"amount": "a lot"}})
    assert "amount" in str(refused.value)


def test_a_token_for_a_password(site):
    url, _ = site
    program = Path(os.sys.executable).with_name("csk")
    done = subprocess.run(
        [program, "token", "--username", "finlab", "--host", url, "-q"],
        input=PASSWORD + "\n", capture_output=True, text=True, start_new_session=True,
    )
    assert len(done.stdout.split()[-1]) == 40, done.stdout + done.stderr


def test_the_file_system(site, client, monkeypatch):
    url, token = site
    monkeypatch.setattr(filespec.CSFileSystem, "url", url + "/{owner}/{title}/api/v1/{model_pk}/", raising=True)
    number = client.create(adjustment={"Loan": {"amount": 123456}})["model_pk"]
    with fsspec.open(f"cs://finlab:Mortgage@{number}/inputs/adjustment/Loan", api_token=token) as file:
        assert "123456" in file.read().decode()
    with fsspec.open(f"cs://finlab:Mortgage@{number}/owner", api_token=token) as file:
        assert "finlab" in file.read().decode()
