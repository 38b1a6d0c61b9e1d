"""The assertions of the shared module explain themselves as those of the tests do."""

import pytest

pytest.register_assert_rewrite("tests.chain.problems")
