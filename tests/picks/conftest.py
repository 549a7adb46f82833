"""A checkout before and after its first start, which is made once for all tests of starts."""

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.fixtures import checkout
from tests.fixtures.checkout import Project


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A checkout as it is cloned."""
    return checkout.build(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def first(bare: Project) -> subprocess.CompletedProcess[str]:
    """The first start, and a copy of what it left."""
    done = bare.start("2412.11965", "-p", "relations=b c")
    shutil.copytree(bare.root, bare.root.with_name("kept"), symlinks=True)
    return done


@pytest.fixture
def project(bare: Project, first: subprocess.CompletedProcess[str]) -> Iterator[Project]:
    """The checkout after its first start, every test its own."""
    assert first.returncode == 0, first.stderr
    shutil.rmtree(bare.root)
    shutil.copytree(bare.root.with_name("kept"), bare.root, symlinks=True)
    (bare.shelf / "builds").unlink(missing_ok=True)
    yield bare
    bare.hold.unlink(missing_ok=True)
