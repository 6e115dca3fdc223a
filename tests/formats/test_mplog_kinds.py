import pytest

from exporter.formats import mplog_kinds as kinds
from exporter.formats.mplog_kinds import PREFIXES, TAGS, kind_of


@pytest.mark.parametrize(("prefix", "kind"), PREFIXES.items())
def test_every_prefix_of_the_table_is_told_with_and_without_a_tag(prefix, kind):
    assert kind_of(prefix + "x") == kind
    assert kind_of("[RTP] " + prefix + "x") == kind


@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_alone_is_a_kind_of_its_own(tag):
    assert kind_of(tag + "\r") == kinds.TAG


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", kinds.BLANK),
        ("\r", kinds.BLANK),
        (" \r", kinds.BLANK),
        ("\u2003   \r", kinds.BLANK),
        ("*" * 60, kinds.ROW),
        ("-" * 80, kinds.ROW),
        ("****RTP Perf Log****", "rtp_perf"),
        ("****END RTP Perf Log****", "rtp_perf"),
        ("**********Cache stats************", "cache_statistics"),
        ("SDN:some new message", "sdn"),
        ("Engine:EMS scan for process: svchost pid: 1", "ems_scan"),
        ("Engine:[RTP] [Exclusion] C:\\x -> y", "exclusion"),
        ("Windows Defender Antivirus (77BDAF73-B396-481F-9042-AD358843EC24) Service Log\r", kinds.SESSION),
        ("Антивирус (77BDAF73-B396-481F-9042-AD358843EC24) Service Log", kinds.SESSION),
        ("Windows Defender Antivirus (77BDAF73-B396-481F-9042-AD358843EC24) Log\r", "service_stop"),
        ("\0\0\0", kinds.DAMAGED),
        ("TrustedUSN set to 0x1 in ENABLED_0.**********Cache stats************", kinds.OTHER),
        ("EMS", kinds.OTHER),
    ],
)
def test_a_line_is_told_by_its_beginning(text, kind):
    assert kind_of(text) == kind


def test_tags_are_taken_off_twice_at_most():
    assert kinds.untagged("Engine:[RTP] [RTP] x") == "[RTP] x"
    assert kind_of("[RTP] " * 200_000) == "rtp"
