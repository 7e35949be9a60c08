"""One Asterisk of each version that the tests of a module share."""

from collections.abc import Iterator

import pytest

from lab.instance import Instance
from tests.lab.asterisks import start


@pytest.fixture(scope="module", params=["16", "22"])
def asterisk(request: pytest.FixtureRequest) -> Iterator[Instance]:
    with start(f"shared{request.param}", request.param) as running:
        yield running
