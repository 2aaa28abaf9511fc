"""The laboratory's objects are real ones, and what it has no model of it refuses by name.

Source: ec2gw/lab/binding/data/README.md (classes of Hyper-V by reflection, WMI of live hosts).
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from ec2gw.lab.agent.host import CmdletError
from ec2gw.lab.binding import own, tables
from ec2gw.lab.binding.values import Typed
from ec2gw.lab.cmdlets import cim
from ec2gw.lab.cmdlets.objects import Live, Values
from ec2gw.lab.cmdlets.shell import CMDLETS
from tests.truth import objects
from tests.truth.ledger import Ledger
from tests.truth.objects import CALLS, SILENT, Held, Stage
from tests.unit.lab_host import Bench

LIST: Final = Path(__file__).with_name("not_simulated.toml")
ROOT: Final = Path(__file__).parents[2]
RECORDED: Final = "recorded classes of Hyper-V and WMI"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(Bench(tmp_path / "world.sqlite3"))


@functools.cache
def listed() -> frozenset[str]:
    """Properties of recorded classes that the laboratory has no model of, reviewed."""
    read: Mapping[str, list[str]] = tomllib.loads(LIST.read_text(encoding="utf-8"))["class"]
    return frozenset(f"{name}.{one}" for name, ones in read.items() for one in ones)


def complaints(held: Held) -> list[str]:
    """What is wrong: other types, properties that are gone, and lines that nothing needs."""
    recorded = {one for one in held.refused if not _is_own(one)}
    return [
        *held.wrong,
        *(f"{one} is not simulated, and not in {LIST.name}" for one in held.refused - listed()),
        *(f"{one} is simulated: take it out of {LIST.name}" for one in listed() - recorded),
    ]


def _is_own(path: str) -> bool:
    return path.partition(".")[0] in own.CLASSES


def everything(stage: Stage) -> tuple[Held, list[str]]:
    """Make every call; answer what was seen, and which cmdlets told nothing."""
    held, silent = Held(), []
    for namespace, name in cim.INSTANCES:
        found = stage.cim(name)
        assert found, f"{namespace}:{name}"
        objects.hold(found, held)
    for qualified in CALLS:
        told = objects.ask(stage, qualified)
        objects.hold(told, held)
        if not told:
            silent.append(qualified)
    return held, silent


def test_every_simulated_cmdlet_is_asked_for_its_objects() -> None:
    assert set(CALLS) == set(CMDLETS)


def test_every_object_of_every_cmdlet_is_a_recorded_one(stage: Stage, ledger: Ledger) -> None:
    held, silent = everything(stage)
    assert set(silent) == SILENT
    assert complaints(held) == []
    recorded = {one for one in held.shown if not _is_own(one)}
    ledger.note("laboratory: cmdlets asked", "its own list", checked=len(CALLS))
    ledger.note(
        "laboratory: properties; exceptions: refused by name",
        RECORDED,
        checked=len(recorded),
        exceptions=len(listed()),
    )


def test_what_a_cmdlet_brings_is_of_the_class_that_the_tables_name(stage: Stage) -> None:
    for qualified in CALLS:
        cmdlet = tables.cmdlet(qualified, tables.LABORATORY)
        assert cmdlet is not None
        for one in objects.ask(stage, qualified):
            if isinstance(one, Live) and cmdlet.module != "CimCmdlets":
                bases = (one.class_name, *tables.BASES.get(one.class_name, ()))
                assert set(bases) & set(cmdlet.output), (qualified, one.class_name)
            elif not isinstance(one, Live):
                assert objects.is_a(one, cmdlet.output[0]), qualified


# -- what is not simulated


def _arguments(cmdlet: tables.Cmdlet, wanted: str) -> Mapping[str, object]:
    """What binds with this parameter in it: values of which the type alone is known."""
    chosen = next(one for one in cmdlet.sets if wanted in one.names)
    names = {*chosen.mandatory, wanted}
    return {name: Typed(cmdlet.parameters[name].type) for name in names}


def test_every_parameter_without_a_model_is_refused_by_its_name(
    tmp_path: Path, ledger: Ledger
) -> None:
    bench, refused = Bench(tmp_path / "world.sqlite3"), 0
    for qualified, simulated in CMDLETS.items():
        cmdlet = tables.cmdlet(qualified, tables.LABORATORY)
        assert cmdlet is not None
        for name in cmdlet.parameters.keys() - simulated.parameters:
            arguments = _arguments(cmdlet, name)
            with pytest.raises(CmdletError) as caught:
                bench.machine.invoke(qualified, arguments)
            assert caught.value.id.startswith("NotSimulated"), (qualified, name, str(caught.value))
            others = arguments.keys() - simulated.parameters
            assert any(f"-{one}." in caught.value.text for one in others), (qualified, name)
            refused += 1
    ledger.note("laboratory: parameters refused by name", "recorded 2019", checked=refused)


def test_every_simulated_cmdlet_binds_its_calls_by_the_tables(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "world.sqlite3")
    for qualified in CMDLETS:
        with pytest.raises(CmdletError) as caught:
            bench.machine.invoke(qualified, {"Misspelt": 1})
        assert caught.value.id.startswith("NamedParameterNotFound,"), qualified


def test_a_cmdlet_without_a_model_is_one_that_the_host_does_not_have(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "world.sqlite3")
    for name, row in tables.loaded("cmdlets.json").items():
        qualified = f"{row['module']}\\{name}"
        if qualified not in CMDLETS:
            with pytest.raises(CmdletError) as caught:
                bench.machine.invoke(qualified, {})
            assert caught.value.id == "CommandNotFoundException"
            assert qualified in caught.value.text


def test_a_class_of_wmi_without_a_model_is_refused_by_its_name(tmp_path: Path) -> None:
    bench, asked = Bench(tmp_path / "world.sqlite3"), 0
    for namespace, classes in tables.loaded("wmi.json").items():
        for name in classes:
            if (namespace, name) not in cim.INSTANCES:
                with pytest.raises(CmdletError, match=f"-ClassName {name}") as caught:
                    bench("CimCmdlets\\Get-CimInstance", ClassName=name, Namespace=namespace)
                assert caught.value.id.startswith("NotSimulated")
                asked += 1
    assert asked > 10


def test_every_error_of_the_laboratory_says_where_it_is_known_from(ledger: Ledger) -> None:
    """Whatever no host was heard to say is labelled so, until one was."""
    page = (ROOT / "docs" / "laboratory.md").read_text(encoding="utf-8")
    section = page[page.index("## Errors") : page.index("## Not simulated")]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:1] == "|"]
    known = [row[2] for row in rows[2:]]
    heard = known.count("error output in public issues")
    assert heard + known.count("derived") == len(known) > 10
    ledger.note(
        "laboratory: kinds of errors; unknown: derived",
        "error output in public issues",
        checked=heard,
        unknown=known.count("derived"),
    )


# -- trials: each change of an object is told


def test_a_property_that_is_deleted_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Values.of

    def without(class_name: str, values: Mapping[str, object], *identity: str) -> Live:
        less = {name: value for name, value in values.items() if name != "SwitchType"}
        return make(class_name, less, *identity)

    monkeypatch.setattr(Values, "of", staticmethod(without))
    held, _ = everything(stage)
    said = complaints(held)
    assert said == ["VMSwitch.SwitchType is not simulated, and not in not_simulated.toml"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"Notes": 5}, "VMSwitch.Notes is 5, not string"),
        ({"SwitchType": "External"}, "VMSwitch.SwitchType is 'External', not VMSwitchType"),
        ({"Id": "x"}, "VMSwitch.Id is 'x', not guid"),
        ({"Note": ""}, "VMSwitch has no Note"),
        ({"AllowManagementOS": None}, "VMSwitch.AllowManagementOS is None, not bool"),
    ],
)
def test_a_property_of_another_type_or_name_is_told(
    values: Mapping[str, object], said: str
) -> None:
    held = Held()
    objects.hold([Values.of("VMSwitch", values)], held)
    assert held.wrong == [said]


def test_an_object_within_another_is_looked_at_too() -> None:
    adapter = Values.of("VMNetworkAdapter", {"Name": 5})
    held = Held()
    objects.hold([Values.of("VirtualMachine", {"NetworkAdapters": [adapter]})], held)
    assert held.wrong == ["VMNetworkAdapter.Name is 5, not string"]


def test_a_line_that_nothing_needs_is_told(stage: Stage) -> None:
    held, _ = everything(stage)
    held.refused.discard(sorted(held.refused)[0])
    assert len(complaints(held)) == 1
