"""One `setup` from its options: what is asked of which server, told line by line."""

from collections.abc import Iterator

import msgspec

from exporter.errors import ConfigurationError
from exporter.mapping.template import PRODUCTS
from exporter.setup import index, kibana
from exporter.setup.index import Wanted
from exporter.sinks.elasticsearch import ElasticsearchSink
from exporter.sinks.server import OPENSEARCH, Server
from exporter.sinks.targets import SinkSettings, SinkTarget, open_sink, parse_target

_IDENTITY = ("api_key_file", "user", "password_file", "bearer_file")
_TRUST = ("ca", "client_cert", "client_key")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done where; `kibana` is the target of its address, if there is one."""

    target: SinkTarget
    kibana: SinkTarget | None
    wanted: Wanted
    warnings: tuple[str, ...] = ()


def plan(to: str, case: str | None, kibana_address: str | None, *, data_stream: bool, timestamp_type: str) -> Plan:
    """The options, checked; nothing is sent. Raises ConfigurationError."""
    target = parse_target(to)
    if target.name not in PRODUCTS:
        raise ConfigurationError(f"there is nothing to set up for `{target.name}`: only {' and '.join(PRODUCTS)} take a template")
    sink = open_sink(target, SinkSettings(case=case or ""))
    assert isinstance(sink, ElasticsearchSink)
    name = sink.index if case or "index" in target.options else None
    return Plan(
        target=target,
        kibana=_kibana(target, kibana_address) if kibana_address else None,
        wanted=Wanted(product=target.name, name=name, data_stream=data_stream, timestamp_type=timestamp_type),
        warnings=(index.ROLL_OVER_WARNING,) if data_stream else (),
    )


def dry(plan: Plan, *, replace: bool) -> Iterator[str]:
    """The requests for servers that have nothing of ours, as text."""
    yield f"# {plan.target.target}"
    for request in index.requests(plan.wanted):
        yield str(request)
    if plan.kibana:
        yield f"# {plan.kibana.target} (multipart form, header kbn-xsrf: true, field `file` as follows)"
        yield f"POST {kibana.path(replace=replace)}"
        yield kibana.saved_objects().decode()


def install(plan: Plan, *, replace: bool) -> Iterator[str]:
    """Do it. Raises SinkRefused, SinkUnavailable and ConfigurationError."""
    server = Server(plan.target)
    try:
        product = server.product()
        yield f"{server.address}: {product.name} {product.version}".rstrip()
        name = product.name if product.name in PRODUCTS else OPENSEARCH
        yield from index.install(server, msgspec.structs.replace(plan.wanted, product=name))
    finally:
        server.close()
    if plan.kibana:
        there = Server(plan.kibana)
        try:
            yield kibana.install(there, replace=replace)
        finally:
            there.close()


def _kibana(target: SinkTarget, address: str) -> SinkTarget:
    """Kibana's address with options of its own, or else with who we are to the server, and whom we trust."""
    own = parse_target(f"{target.name}:{address}")
    inherited = (*_IDENTITY, *_TRUST) if own.target.startswith("https:") else _IDENTITY
    options = own.options or {name: target.options[name] for name in inherited if name in target.options}
    return SinkTarget(own.name, own.target, options)
