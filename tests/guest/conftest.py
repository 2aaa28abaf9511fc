"""What tests of guests are handed: instances, and the metadata service that they ask."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from state.store import Store
from tests.guest.imds import SECRET, Imds, Scene, openssh


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    """The key pair of the scene's first guest."""
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def scene(store: Store, key: rsa.RSAPrivateKey) -> Scene:
    return Scene.set(store, openssh(key.public_key()))


@pytest.fixture
def imds(scene: Scene) -> Iterator[Imds]:
    with Imds(scene.store, forwarder_key=SECRET) as served:
        yield served
