"""defender-exporter: what Windows Defender left on a machine, as timelines and SIEM documents."""

__version__ = "0.1.0"
