"""Statements that are compiled once and run on the driver itself.

To hand a statement to SQLAlchemy each time costs several times what SQLite needs for a few rows.
What its types do to parameters and columns is kept, and so are its errors. SQLite's driver alone:
for another database these would execute what they were made of.

Source: SQLAlchemy, "Working with Driver SQL and Raw DBAPI Connections", `SQLCompiler`.
"""

from __future__ import annotations

import collections
import functools
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.orm import Session

from state.models import Base

_DIALECT: Final = SQLiteDialect_pysqlite(paramstyle="named")

_Process = Callable[[Any], Any]


class _Listed(sa.TypeDecorator[Iterable[Any]]):
    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: Iterable[Any] | None, dialect: sa.Dialect) -> str:
        return json.dumps(list(value or ()))


def listed(name: str, kind: type[sa.types.TypeEngine[Any]]) -> sa.Select[Any]:
    """Any number of values as one parameter, for `column.in_`: the statement stays the same.

    The parameter is a list.
    """
    values = sa.func.json_each(sa.bindparam(name, type_=_Listed)).table_valued(
        sa.column("value", kind)
    )
    return sa.select(values.c.value)


class _Compiled:
    """A statement's text, and what is to be done to its parameters and columns."""

    def __init__(self, query: sa.Select[*tuple[Any, ...]] | sa.UpdateBase) -> None:
        compiled: Any = query.compile(dialect=_DIALECT)
        free = [name for name, bound in compiled.binds.items() if bound.required]
        # Lists that are in the statement are written out, each value a parameter of its own.
        expanded = compiled.construct_expanded_state(dict.fromkeys(free))
        writers = {name: _writer(bound.type) for name, bound in compiled.binds.items()}
        for name, parts in expanded.parameter_expansion.items():
            writers |= dict.fromkeys(parts, writers[name])
        self.text: Final[str] = expanded.statement
        self.parameters: Final = [(name, writers[name]) for name in free]
        self.fixed: Final = {
            name: _written(value, writers[name])
            for name, value in expanded.parameters.items()
            if name not in free
        }
        columns = list(query.selected_columns) if isinstance(query, sa.Select) else []
        readers = [_reader(column.type) for column in columns]
        self.columns: Final = [(at, read) for at, read in enumerate(readers) if read is not None]
        self.names: Final = [column.key or "" for column in columns]
        self.row: Final = _row(self.names)


class Statement:
    """A statement with named parameters; make it at import, not for a request. Thread-safe.

    It is compiled when it is first run, since most processes run but a few.
    """

    def __init__(self, query: sa.Select[*tuple[Any, ...]] | sa.UpdateBase) -> None:
        self._query: Final = query

    @functools.cached_property
    def _compiled(self) -> _Compiled:
        return _Compiled(self._query)

    def run(self, session: Session, parameters: Mapping[str, Any]) -> list[Any]:
        """Run it; answer its rows as tuples. What the session holds back is written first."""
        compiled = self._compiled
        given = dict(compiled.fixed)
        for name, write in compiled.parameters:
            given[name] = _written(parameters[name], write)
        found = _execute(_driver(session), compiled.text, given).fetchall()
        return [_read(row, compiled.columns) for row in found] if compiled.columns else found

    def named(self, session: Session, parameters: Mapping[str, Any]) -> list[Any]:
        """Run it; the columns of a row are its attributes too."""
        return [self._compiled.row(row) for row in self.run(session, parameters)]

    def mappings(self, session: Session, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Run it; a row is a dict by its columns' names."""
        names = self._compiled.names
        return [dict(zip(names, row, strict=True)) for row in self.run(session, parameters)]

    def scalar(self, session: Session, parameters: Mapping[str, Any]) -> Any:
        """Run it; answer the first column of the first row, None without a row."""
        found = self.run(session, parameters)
        return found[0][0] if found else None


class Insertion:
    """Writes rows of a table, with the columns' own defaults. Make it at import. Thread-safe."""

    def __init__(self, model: type[Base]) -> None:
        self._table: Final[Any] = model.__table__

    @functools.cached_property
    def _columns(self) -> list[tuple[str, Callable[[], Any], _Process | None]]:
        key = self._table.autoincrement_column
        return [
            (column.key, _default(column), _writer(column.type))
            for column in self._table.c
            if column is not key
        ]

    @functools.cached_property
    def _text(self) -> str:
        statement = sa.insert(self._table).values({name: None for name, _, _ in self._columns})
        if self._table.autoincrement_column is not None:
            statement = statement.returning(self._table.autoincrement_column)
        return str(statement.compile(dialect=_DIALECT))

    def run(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> list[int]:
        """Write the rows; answer their keys in order, where the database gives them."""
        driver = _driver(session)
        keys: list[int] = []
        for row in rows:
            given = {}
            used = 0
            for name, default, write in self._columns:
                if name in row:
                    used += 1
                    given[name] = _written(row[name], write)
                else:
                    given[name] = _written(default(), write)
            if used != len(row):
                raise TypeError(f"no columns: {sorted(row.keys() - given.keys())}")
            keys += [key for (key,) in _execute(driver, self._text, given).fetchall()]
        return keys


def _read(row: tuple[Any, ...], columns: Sequence[tuple[int, _Process]]) -> tuple[Any, ...]:
    values = list(row)
    for at, read in columns:
        values[at] = read(values[at])
    return tuple(values)


def _row(names: Sequence[str]) -> Callable[[tuple[Any, ...]], Any]:
    make: Any = collections.namedtuple
    read: Callable[[tuple[Any, ...]], Any] = make("Row", names, rename=True)._make
    return read


def _driver(session: Session) -> sqlite3.Connection:
    session.flush()
    driver: Any = session.connection().connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _execute(driver: sqlite3.Connection, text: str, given: Mapping[str, Any]) -> sqlite3.Cursor:
    try:
        return driver.execute(text, given)
    except sqlite3.Error as error:
        raise sa.exc.DBAPIError.instance(
            text, None, error, sqlite3.Error, hide_parameters=True, dialect=_DIALECT
        ) from error


def _writer(kind: sa.types.TypeEngine[Any]) -> _Process | None:
    return kind.dialect_impl(_DIALECT).bind_processor(_DIALECT)


def _reader(kind: sa.types.TypeEngine[Any]) -> _Process | None:
    return kind.dialect_impl(_DIALECT).result_processor(_DIALECT, None)


def _written(value: Any, write: _Process | None) -> Any:
    return value if write is None else write(value)


def _default(column: sa.Column[Any]) -> Callable[[], Any]:
    """Make what answers a column's value where a row says nothing of it."""
    default: Any = column.default
    if default is None:
        return lambda: None
    if default.is_callable:
        return lambda: default.arg(None)
    return lambda: default.arg
