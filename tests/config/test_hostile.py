"""Whatever stands on the command line, in the environment or in the file: settings, or a list of problems."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import NodeConfig
from config.options import options
from config.reference import config_toml
from config.values import to_toml
from parallelpool.errors import ConfigurationError
from tests.config.settings import load_toml, load_words

texts = st.text(max_size=40)
values = st.one_of(
    texts,
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(
        ["true", "0s", "1h", "none", "", "eth,net", "*", "/", "~", "~nobody/x", "..", "0x", "9" * 5_000]
    ),
)
names = st.sampled_from([option.name for option in options()])
flags = st.one_of(
    texts,
    st.builds("--{}".format, texts),
    st.builds("--{}".format, names),
    st.builds("--{}={}".format, names, values),
    values,
)
toml_values = st.recursive(
    st.one_of(texts, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans()),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=4,
)


def outcome_of(loaded: NodeConfig | ConfigurationError) -> None:
    """Settings can be written down and problems are sentences without a line break."""
    if isinstance(loaded, NodeConfig):
        assert config_toml(loaded)
    else:
        assert loaded.problems
        assert all(problem and problem.isprintable() for problem in loaded.problems)


@given(st.lists(flags, max_size=6))
def test_any_command_line_is_settings_or_problems(words: list[str]) -> None:
    """
    No words bring an exception of another kind.
    """
    try:
        outcome_of(load_words([word for word in words if not word.lstrip("-").startswith("config")]))
    except ConfigurationError as error:
        outcome_of(error)


@given(st.dictionaries(st.sampled_from([option.variable for option in options()]), values, max_size=5))
def test_any_environment_is_settings_or_problems(environment: dict[str, str]) -> None:
    """
    No variable brings an exception of another kind.
    """
    try:
        outcome_of(load_words([], environment))
    except ConfigurationError as error:
        outcome_of(error)


@given(st.dictionaries(st.sampled_from([option.keys for option in options()]), toml_values, max_size=5))
def test_any_file_is_settings_or_problems(
    tmp_path_factory: pytest.TempPathFactory, document: dict[tuple[str, ...], object]
) -> None:
    """
    No value of any TOML type at any key brings an exception of another kind.
    """
    lines = [f"{'.'.join(keys)} = {to_toml(value)}" for keys, value in document.items()]
    try:
        outcome_of(load_toml(tmp_path_factory.mktemp("hostile"), "\n".join(lines)))
    except ConfigurationError as error:
        outcome_of(error)
