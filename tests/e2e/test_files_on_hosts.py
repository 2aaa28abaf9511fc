"""Files on a host: put whole or not at all, removed, and never outside the root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ec2gw.engine import files, links
from ec2gw.lab.console import Console
from ec2gw.winrm.pool import HostLink
from state.secrets import Vault
from state.store import Store
from tests.faults.rig import Rig, rig
from translators.hyperv import file
from translators.hyperv import host as port

SUBJECT = "i-0123456789abcdef0"
PLACE = port.Path("tmp/seed.iso")
ROOT = "C:\\ec2gw"


@pytest.fixture
def cloud(store: Store, tmp_path: Path) -> Iterator[Rig]:
    with rig(store, tmp_path) as made:
        yield made


@pytest.fixture
def link(cloud: Rig) -> Iterator[HostLink]:
    with cloud.store.read() as session:
        made = links.make(session, Vault(cloud.data / "key"), cloud.hosts["a"], 1)
    made.run(file.make_folder(port.Path("tmp")), fence=port.Fence("0" * 32, SUBJECT, 1))
    yield made
    made.close()


def content(cloud: Rig, path: str) -> bytes:
    with cloud.world.reading("lab-a") as session:
        return session.content(path)


@pytest.mark.parametrize("length", [1, file.CHUNK_BYTES, 3 * file.CHUNK_BYTES + 17])
def test_a_file_arrives_whole(cloud: Rig, link: HostLink, length: int) -> None:
    wanted = bytes(number % 251 for number in range(length))
    files.put(link, PLACE, wanted, subject=SUBJECT, generation=1)
    assert content(cloud, f"{ROOT}\\tmp\\seed.iso") == wanted
    assert not [path for path in cloud.world.snapshot()["lab-a"]["files"] if ".part" in path]


def test_a_file_that_is_there_is_replaced_and_then_left_alone(cloud: Rig, link: HostLink) -> None:
    for wanted in (b"first", b"second, longer"):
        files.put(link, PLACE, wanted, subject=SUBJECT, generation=1)
        files.put(link, PLACE, wanted, subject=SUBJECT, generation=1)
        assert content(cloud, f"{ROOT}\\tmp\\seed.iso") == wanted


def test_lost_messages_put_a_file_all_the_same(cloud: Rig, link: HostLink) -> None:
    cloud.laboratory.faults["lab-a"].lose(0.15, seed=3)
    wanted = bytes(range(256)) * 2000
    files.put(link, PLACE, wanted, subject=SUBJECT, generation=1)
    assert content(cloud, f"{ROOT}\\tmp\\seed.iso") == wanted


def test_a_removed_file_is_gone_and_removing_nothing_is_no_error(
    cloud: Rig, link: HostLink
) -> None:
    files.put(link, PLACE, b"x", subject=SUBJECT, generation=1)
    for _ in range(2):
        files.remove(link, PLACE, subject=SUBJECT, generation=1)
    assert f"{ROOT}\\tmp\\seed.iso" not in cloud.world.snapshot()["lab-a"]["files"]


def test_a_file_in_use_is_told_and_stays(cloud: Rig, link: HostLink) -> None:
    files.put(link, PLACE, b"x", subject=SUBJECT, generation=1)
    Console(cloud.world).lock_file("lab-a", f"{ROOT}\\tmp\\seed.iso", 60)
    with pytest.raises(port.Failed) as failed:
        files.remove(link, PLACE, subject=SUBJECT, generation=1)
    assert "0x80070020" in failed.value.error.hresult


@pytest.mark.parametrize("segments", ["../x", "tmp/../../x", "tmp/x.", "tmp//x", "C:/x", "tmp/a b"])
def test_no_path_leads_out_of_the_root(link: HostLink, segments: str) -> None:
    with pytest.raises(port.HostError):
        files.put(link, port.Path(segments), b"x", subject=SUBJECT, generation=1)


def test_a_junction_in_our_folders_is_refused(cloud: Rig, link: HostLink) -> None:
    Console(cloud.world).put_reparse_point("lab-a", f"{ROOT}\\elsewhere")
    with pytest.raises(port.Failed):
        files.put(link, port.Path("elsewhere/x"), b"x", subject=SUBJECT, generation=1)
