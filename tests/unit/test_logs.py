"""Log lines: one record, one line, whatever is in it."""

from __future__ import annotations

import json
import logging
import sys

from ec2gw import logs


def _line(message: str = "event", exc_info: bool = False, **extra: object) -> str:
    record = logging.makeLogRecord(
        {"name": "ec2gw.x", "levelno": logging.INFO, "levelname": "INFO"}
    )
    record.msg = message
    record.created, record.msecs = 1767323045.5, 500.0
    vars(record).update(extra)
    if exc_info:
        record.exc_info = sys.exc_info()
    return logs.KeyValue("api").format(record)


def test_fields_follow_the_event_and_ids_come_first() -> None:
    assert _line("started", ms=1.5, host="h1", request="r1") == (
        "time=2026-01-02T03:04:05.500Z level=info process=api event=started "
        "request=r1 host=h1 ms=1.5"
    )


def test_a_value_with_blanks_or_line_breaks_is_quoted() -> None:
    value = 'two\nlines="x" \x1b[31m'
    line = _line(why=value)
    assert "\n" not in line
    assert "\x1b" not in line
    assert line.endswith(f" why={json.dumps(value)}")
    assert _line(why="").endswith(' why=""')


def test_a_traceback_is_one_field_of_the_line() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        line = _line(exc_info=True)
    assert "\n" not in line
    assert "ValueError: first\\nsecond" in line
