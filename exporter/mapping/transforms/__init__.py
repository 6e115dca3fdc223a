"""Named pure transforms for `via`: each takes the attributes of `from` and returns a value, or None for absent.

A transform is a small function with an example in its docstring; `TRANSFORMS` is the one place to add its name.
"""

from collections.abc import Callable
from typing import Any

from exporter.mapping.event_xml import event_xml
from exporter.mapping.transforms import accounts, events, lists, numbers, paths

TRANSFORMS: dict[str, Callable[..., Any]] = {
    "event_xml": event_xml,
    "text": numbers.text,
    "hex_code": numbers.hex_code,
    "failure_code": numbers.failure_code,
    "hex_long": numbers.hex_long,
    "time": numbers.time,
    "outcome": numbers.outcome,
    "action_outcome": numbers.action_outcome,
    "nanoseconds": numbers.nanoseconds,
    "success": numbers.success,
    "braced": numbers.braced,
    "braced_lower": numbers.braced_lower,
    "some_guid": numbers.some_guid,
    "lower": numbers.lower,
    "file_name": paths.file_name,
    "file_directory": paths.file_directory,
    "file_extension": paths.file_extension,
    "known": paths.known,
    "known_file_name": paths.known_file_name,
    "path_of_file": paths.path_of_file,
    "name_of_file": paths.name_of_file,
    "directory_of_file": paths.directory_of_file,
    "extension_of_file": paths.extension_of_file,
    "drive_of_file": paths.drive_of_file,
    "path_of_registry": paths.path_of_registry,
    "drive_letter": paths.drive_letter,
    "plain_path": paths.plain_path,
    "url": paths.url,
    "host": paths.host,
    "host_name": paths.host_name,
    "host_address": paths.host_address,
    "user_name": accounts.user_name,
    "user_domain": accounts.user_domain,
    "user_id": accounts.user_id,
    "accounts": accounts.accounts,
    "first": lists.first,
    "collect": lists.collect,
    "joined": lists.joined,
    "details": lists.details,
    "change": lists.change,
    "texts": lists.texts,
    "schemas": lists.schemas,
    "resource_values": lists.resource_values,
    "container_paths": lists.container_paths,
    "web_paths": lists.web_paths,
    "first_action": lists.first_action,
    "flat_fields": lists.flat_fields,
    "named_numbers": lists.named_numbers,
    "event_data": events.event_data,
    "event_strings": events.event_strings,
    "parameter_text": events.parameter_text,
    "parameter_texts": events.parameter_texts,
    "parameter_details": events.parameter_details,
    "rule_title": events.rule_title,
    "for_rule": events.for_rule,
    "failure_message": events.failure_message,
}
