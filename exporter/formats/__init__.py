"""Bytes or lines in, typed payloads out. Pure: no paths, no logging, no settings."""
