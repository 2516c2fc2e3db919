import pytest

pytest.register_assert_rewrite(
    "tests.model.sides"
)  # a difference between the sides is told, not only that there is one
