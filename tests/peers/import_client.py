"""Timesketch's own import client, as a program for its environment: address, user, password, sketch, timeline, file."""

IMPORT = """
import sys
from timesketch_api_client.client import TimesketchApi
from timesketch_import_client.importer import ImportStreamer
address, user, password, sketch, name, path = sys.argv[1:]
with ImportStreamer() as streamer:
    streamer.set_sketch(TimesketchApi(address, user, password).get_sketch(int(sketch)))
    streamer.set_timeline_name(name)
    streamer.add_file(path)
"""
