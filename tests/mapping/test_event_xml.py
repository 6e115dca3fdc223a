"""The XML of an event."""

from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from hypothesis import given
from hypothesis import strategies as st

from exporter.formats.defender_events import WindowsEvent
from exporter.mapping.event_xml import event_xml

TEXT = st.text(st.sampled_from("ab <>&\"'{}%\0\n\r\té"), max_size=6)


def event(**values: object) -> WindowsEvent:
    return WindowsEvent(event_id=1, record_id=2, **{"channel": "C", "provider_name": "P", **values})


def test_what_is_absent_is_left_out() -> None:
    expected = (
        '<Event><System><Provider Name="P"/><EventID>1</EventID><EventRecordID>2</EventRecordID><Channel>C</Channel></System>'
        "<EventData></EventData></Event>"
    )
    assert event_xml(event()) == expected


def test_the_elements_stand_in_the_order_of_windows() -> None:
    levels = {"version": 1, "level": 2, "task": 3, "opcode": 4, "keywords": "0x8"}
    whole = event(provider_guid="AB", computer="H", user_sid="S-1", created_at=133_500_000_000_000_000, **levels)
    names = [child.tag for child in ElementTree.fromstring(event_xml(whole))[0]]
    assert names == [
        *("Provider", "EventID", "Version", "Level", "Task", "Opcode", "Keywords", "TimeCreated", "EventRecordID"),
        *("Channel", "Computer", "Security"),
    ]
    assert 'Guid="{ab}"' in event_xml(whole)


@given(data=st.dictionaries(TEXT, TEXT), name=TEXT)
def test_any_text_is_escaped_as_the_standard_library_does(data: dict[str, str], name: str) -> None:
    text = event_xml(event(data=data, provider_name=name, channel=name, computer=name or "x"))
    elements = "".join(f"<Data Name={quoteattr(key)}>{escape(value)}</Data>" for key, value in data.items())
    assert f"<EventData>{elements}</EventData>" in text
    assert f"<Provider Name={quoteattr(name)}/>" in text
    assert f"<Channel>{escape(name)}</Channel><Computer>{escape(name or 'x')}</Computer>" in text


def test_a_time_beyond_all_calendars_stays_a_number() -> None:
    assert f'SystemTime="{2**63}"' in event_xml(event(created_at=2**63))
