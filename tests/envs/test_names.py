import pytest

from slategym.envs.names import LISTED, UsageError, lookup

FEW = {"Toy-v0": 1, "Sardine-v0": 2}
MANY = {f"World{letter}-v0": letter for letter in "ABCDEFGHIJKLMNOP"}


def test_a_known_name_is_found():
    assert lookup("world", "Toy-v0", FEW) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("toy-v1", "unknown world 'toy-v1'; did you mean 'Toy-v0'? Known: Sardine-v0, Toy-v0"),
        ("SARDINE-V0", "did you mean 'Sardine-v0'?"),
        ("xyz", "unknown world 'xyz'; Known: Sardine-v0, Toy-v0"),
        ("", "unknown world ''; Known: Sardine-v0, Toy-v0"),
    ],
)
def test_an_unknown_one_is_answered_with_the_nearest(name, message):
    with pytest.raises(UsageError) as caught:
        lookup("world", name, FEW)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["WorldC-v1", "xyz"])
def test_of_many_only_some_are_listed(name):
    with pytest.raises(UsageError) as caught:
        lookup("world", name, MANY)
    message = str(caught.value)
    assert sum(known in message.split("Known:")[1] for known in MANY) == LISTED
    assert message.endswith("... (16 in all)")
    assert ("did you mean 'WorldC-v0'" in message) == (name != "xyz")
