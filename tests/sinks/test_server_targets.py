"""What stands after `--to` for a server."""

import base64

import pytest

from exporter.errors import ConfigurationError
from exporter.sinks.elasticsearch import ElasticsearchSink
from exporter.sinks.server import Server
from exporter.sinks.targets import SinkSettings, open_sink, parse_target

CLOUD = "deployment:" + base64.b64encode(b"eu.example.com:9243$abc$def").decode()


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("elasticsearch:https://siem.example.com:9200", "https://siem.example.com:9200"),
        ("elasticsearch:https://siem.example.com", "https://siem.example.com:443"),
        ("opensearch:http://127.0.0.1:9201/", "http://127.0.0.1:9201"),
        ("elasticsearch:https://[::1]:9200/siem/es", "https://[::1]:9200/siem/es"),
        (f"elasticsearch:cloud?cloud_id={CLOUD}", "https://abc.eu.example.com:9243"),
    ],
)
def test_an_address_is_a_url_or_a_cloud_id(target: str, address: str):
    assert Server(parse_target(target)).address == address


@pytest.mark.parametrize(
    "target",
    [
        "elasticsearch:-",
        "elasticsearch:host:9200",
        "elasticsearch:ftp://host",
        "elasticsearch:https://",
        "elasticsearch:https://host:port",
        "elasticsearch:https://host:99999",
        "elasticsearch:https://[::1",
        "elasticsearch:https://host#x",
        f"elasticsearch:https://host?cloud_id={CLOUD}",
        "elasticsearch:cloud?cloud_id=x",
        "elasticsearch:cloud",
    ],
)
def test_what_is_no_address_is_refused(target: str):
    with pytest.raises(ConfigurationError):
        open_sink(parse_target(target), SinkSettings())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("batch_documents=0", "from 1 to 100000"),
        ("batch_bytes=52428801", "from 1 to 52428800"),
        ("batch_bytes=x", "from 1 to 52428800"),
        ("gzip=maybe", "`yes` or `no`"),
        ("index=A*", "no name of an index"),
        ("patience=²", "above 0"),
        ("insecure=yes", "no option `insecure`"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: str, reason: str):
    with pytest.raises(ConfigurationError, match=reason):
        open_sink(parse_target(f"elasticsearch:http://127.0.0.1:9?{options}"), SinkSettings())


def test_the_index_is_that_of_the_case_unless_one_is_named():
    def index(options: str) -> str:
        return ElasticsearchSink(parse_target(f"elasticsearch:http://127.0.0.1:9{options}"), SinkSettings(case="Case 7")).index

    assert index("").startswith("dfir-defender-case-7-x")
    assert index("?index=mine") == "mine"


def test_only_files_have_a_path():
    targets = [parse_target(text) for text in ("elasticsearch:http://127.0.0.1:9", "ecs:-", "ecs:a.ndjson")]
    assert [str(target.path) for target in targets] == ["None", "None", "a.ndjson"]
    assert [target.server for target in targets] == [True, False, False]
