"""Runs inside plaso's environment: `plaso_store.py ROWS.jsonl FORMATTERS.yaml FOLDER` stores rows in FOLDER/rows.plaso and has psort write
FOLDER/rows.csv of it: `psort -a -u -o l2tcsv --custom_formatter_definitions FORMATTERS.yaml -w rows.csv rows.plaso`.

A row: `data_type`, `timestamp` (microseconds since 1970), `timestamp_desc`, `attributes`, `hostname`, `username`, `display_name`, `parser`,
`tags`. What plaso 20260720 makes of it in l2tcsv:

    date, time   from the time in whole seconds, truncated; timezone is UTC without -z
    MACB         .A..  Last Access, Account Created, Last Visited, Start, Last Shutdown, Last Login, Last Password Reset,
                       Last Connection, Last Time Executed, Last Printed
                 M...  Content Modification, Content Deletion
                 ...B  Creation, Added, File Downloaded, First Connection
                 ..C.  Metadata Modification; everything else has four dots
    user         `username`, else the account of `user_sid` where the storage has one, else `-`: a SID itself never appears
                 (and is pasted into a query: one with a quote in it makes psort fail)
    host         `hostname`, else `-`
    short, desc  the formatter's, without CR and LF; all other controls stay; the formatter itself cuts the short one, at 80 characters
    filename     `display_name`, not `filename`; `-` if there is none
    inode        the attribute `inode`; `-` if there is none, 0 stays 0
    notes        labels joined by a space, `-` without; a label is letters, digits and underscores
    format       `_parser_chain`
    any cell     commas become spaces; quotes stay, also leading ones; nothing is ever quoted; an empty text stays empty

Rows are not in order of time. Those of Creation, Last Access, Metadata Modification and Content Modification Time are written at once;
the others wait in a heap ordered by time of day (without the date), filename, inode and text, which is emptied when the next of them has
another time of day. And events of these four kinds that are equal in attributes and microsecond become one row, also with -a:
`Creation Time; Last Access Time` with `.A.B`. So rows are compared as a set, and each needs an attribute that no other has (`event_id`).

Lone surrogates cannot be stored. `Message string: ...` of EVTX records does not appear for Defender: plaso's own winevt-rc.db has only the
texts of Windows 7, under message ids with the qualifier 0xb000, which the records do not carry.
"""

import json
import os
import sys
from pathlib import Path

from dfdatetime import posix_time
from plaso.cli import tools
from plaso.containers import events
from plaso.scripts import psort
from plaso.storage.sqlite import writer


def event_data_of(row):
    """Attributes as a parser would have set them."""
    data = events.EventData(data_type=row["data_type"])
    for name, value in row["attributes"].items():
        setattr(data, name, value)
    for name in ("hostname", "username", "display_name"):
        if row.get(name):
            setattr(data, name, row[name])
    data._parser_chain = row["parser"]
    data._event_values_hash = events.CalculateEventValuesHash(data, None)
    return data


def store(rows, path):
    """Write a plaso storage file with one event for each row."""
    storage = writer.SQLiteStorageWriter()
    storage.Open(path=path)
    for row in rows:
        data = event_data_of(row)
        storage.AddAttributeContainer(data)
        event = events.EventObject()
        event.date_time = posix_time.PosixTimeInMicroseconds(timestamp=row["timestamp"])
        event.timestamp = row["timestamp"]
        event.timestamp_desc = row["timestamp_desc"]
        event.SetEventDataIdentifier(data.GetIdentifier())
        storage.AddAttributeContainer(event)
        if row.get("tags"):
            tag = events.EventTag()
            tag.AddLabels(row["tags"])
            tag.SetEventIdentifier(event.GetIdentifier())
            storage.AddAttributeContainer(tag)
    storage.Close()


def main(rows_path, formatters, folder):
    """Store the rows and run psort, without the 15 seconds that it gives its user to reconsider l2tcsv."""
    rows = [json.loads(line) for line in Path(rows_path).read_text(encoding="utf-8").splitlines()]
    os.chdir(folder)
    store(rows, "rows.plaso")
    tools.CLITool._WaitUserWarning = lambda self: None
    quiet = ["--quiet", "--status_view", "none", "--logfile", "psort.log"]
    definitions = ["--custom_formatter_definitions", formatters]
    sys.argv = ["psort", *quiet, "-a", "-u", "-o", "l2tcsv", *definitions, "-w", "rows.csv", "rows.plaso"]
    return psort.Main()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
