"""The servers for a user with Docker: pinned, on this machine only, with limits and without a password in the file. No Docker runs here."""

import re
from typing import Any

import pytest
import yaml

from exporter.data import folder

PATH = folder("config") / "docker-compose.yml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(PATH.read_text("utf-8"))["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_pinned_and_limited(name: str) -> None:
    assert re.fullmatch(r"(elasticsearch|kibana):\d+\.\d+\.\d+", SERVICES[name]["image"])
    assert re.fullmatch(r"\d+[mg]", SERVICES[name]["mem_limit"])


def test_all_have_one_version() -> None:
    assert len({service["image"].partition(":")[2] for service in SERVICES.values()}) == 1


def test_nothing_is_reachable_from_elsewhere() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_security_is_on_and_every_secret_comes_from_outside() -> None:
    assert SERVICES["elasticsearch"]["environment"]["xpack.security.enabled"] == "true"
    secrets = {
        name: value for service in SERVICES.values() for name, value in service["environment"].items() if re.search("PASSWORD|KEY$", name)
    }
    assert len(secrets) == 6
    assert all(value.startswith("${") and ":?" in value for value in secrets.values())


def test_the_command_at_the_top_makes_every_secret_that_is_asked_for() -> None:
    text = PATH.read_text("utf-8")
    asked = set(re.findall(r"\$\{(\w+):\?", text))
    assert asked == set(re.findall(r"'([A-Z_]+)'", text.partition("secrets.token_hex")[2].partition("> .env")[0]))
