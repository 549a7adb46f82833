"""The same world outside as for `tools/add`."""

from tests.picks.add.conftest import no_network

__all__ = ["no_network"]
