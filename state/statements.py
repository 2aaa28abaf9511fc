"""Queries that are compiled once and run on the driver itself.

To hand a query to SQLAlchemy each time costs several times what SQLite needs for a few rows. What
its types do to parameters and columns is kept. SQLite's driver alone; for another database
`Statement.rows` would execute the query that it was made of.

Source: SQLAlchemy, "Working with Driver SQL and Raw DBAPI Connections", `SQLCompiler`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.orm import Session

_DIALECT: Final = SQLiteDialect_pysqlite(paramstyle="named")

_Process = Callable[[Any], Any]


class Statement:
    """A query with named parameters; make it at import, not for a request. Thread-safe."""

    __slots__ = ("_columns", "_fixed", "_parameters", "_text")

    def __init__(self, query: sa.Select[*tuple[Any, ...]]) -> None:
        compiled: Any = query.compile(dialect=_DIALECT)
        free = [name for name, bound in compiled.binds.items() if bound.required]
        # Lists are written out, each value a parameter of its own.
        expanded = compiled.construct_expanded_state(dict.fromkeys(free))
        writers = {name: _writer(bound.type) for name, bound in compiled.binds.items()}
        for name, parts in expanded.parameter_expansion.items():
            writers |= dict.fromkeys(parts, writers[name])
        self._text: Final[str] = expanded.statement
        self._parameters: Final = [(name, writers[name]) for name in free]
        self._fixed: Final = {
            name: _written(value, writers[name])
            for name, value in expanded.parameters.items()
            if name not in free
        }
        types = [column.type.dialect_impl(_DIALECT) for column in query.selected_columns]
        readers = [kind.result_processor(_DIALECT, None) for kind in types]
        self._columns: Final = [(at, read) for at, read in enumerate(readers) if read is not None]

    def rows(self, session: Session, parameters: Mapping[str, Any]) -> list[Any]:
        """Run it; what the session holds back is written first, as SQLAlchemy would."""
        session.flush()
        given = dict(self._fixed)
        for name, write in self._parameters:
            given[name] = _written(parameters[name], write)
        raw: Any = session.connection().connection.driver_connection
        found: list[Any] = raw.execute(self._text, given).fetchall()
        return [self._read(row) for row in found] if self._columns else found

    def _read(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        values = list(row)
        for at, read in self._columns:
            values[at] = read(values[at])
        return tuple(values)


def _writer(kind: sa.types.TypeEngine[Any]) -> _Process | None:
    process: _Process | None = kind.dialect_impl(_DIALECT).bind_processor(_DIALECT)
    return process


def _written(value: Any, write: _Process | None) -> Any:
    return value if write is None else write(value)
