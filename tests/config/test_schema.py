"""The schema itself: names, texts, defaults."""

import dataclasses
import types
from collections.abc import Iterator
from datetime import timedelta
from typing import get_type_hints

import pytest

from config.options import Option, options, sections
from config.schema import NAMESPACES, NodeConfig
from config.values import from_text, from_toml, to_text


def dataclasses_below(schema: type) -> Iterator[type]:
    """`schema` and every dataclass among its fields."""
    yield schema
    for hint in get_type_hints(schema).values():
        if dataclasses.is_dataclass(hint):
            assert isinstance(hint, type)
            yield from dataclasses_below(hint)


@pytest.mark.parametrize("schema", list(dataclasses_below(NodeConfig)), ids=lambda schema: schema.__name__)
def test_settings_are_frozen_and_slotted(schema: type) -> None:
    """
    No setting changes after the start, and a misspelt one cannot be added.
    """
    settings = schema()
    name = dataclasses.fields(settings)[0].name

    assert hasattr(schema, "__slots__")
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(settings, name, None)


@pytest.mark.parametrize("option", options(), ids=lambda option: option.name)
def test_every_setting_says_what_it_means(option: Option) -> None:
    """
    Each field has a text below it that is a sentence.
    """
    assert len(option.text) > 15
    assert option.text.endswith(".")


@pytest.mark.parametrize("option", options(), ids=lambda option: option.name)
def test_every_number_and_duration_has_a_range(option: Option) -> None:
    """
    No number is taken without bounds.
    """
    if option.type in (int, float, timedelta):
        assert any(check.allows for check in option.checks)


@pytest.mark.parametrize("option", options(), ids=lambda option: option.name)
def test_every_default_passes_its_own_checks(option: Option) -> None:
    """
    A default written on the command line is accepted and means itself.
    """
    if option.default is None:
        assert option.is_optional
    else:
        assert from_text(option, to_text(option.default)) == option.default


def test_names_are_unique_in_every_notation() -> None:
    """
    No two settings share a flag, a variable or a TOML key.
    """
    for notation in ("flag", "variable", "keys"):
        names = [getattr(option, notation) for option in options()]

        assert len(names) == len(set(names))


def test_defaults_are_the_documented_ones() -> None:
    """
    The defaults that users rely on are geth's and the design's.
    """
    defaults = {option.name: option.default for option in options()}

    assert defaults["http"] is True
    assert defaults["ws"] is True
    assert defaults["metrics"] is True
    assert (defaults["http.addr"], defaults["http.port"]) == ("127.0.0.1", 8545)
    assert (defaults["metrics.addr"], defaults["metrics.port"]) == ("127.0.0.1", 6060)
    assert set(NAMESPACES) >= {"eth", "net", "web3", "txpool", "parallel", "dev", "debug"}
    assert defaults["http.api"] == defaults["ws.api"] == NAMESPACES
    assert defaults["dev.mine"] == "batch"
    assert defaults["parallel.batchsize"] == 64
    assert {name: value for name, value in defaults.items() if name.startswith("txpool.")} == {
        "txpool.journal": "transactions.rlp",
        "txpool.durability": "fsync",
        "txpool.rejournal": timedelta(hours=1),
        "txpool.pricelimit": 1,
        "txpool.pricebump": 10,
        "txpool.accountslots": 16,
        "txpool.globalslots": 5_120,
        "txpool.accountqueue": 64,
        "txpool.globalqueue": 1_024,
        "txpool.lifetime": timedelta(hours=3),
        "txpool.maxtxsize": 131_072,
    }


def test_sections_cover_the_whole_schema() -> None:
    """
    Every field of every dataclass is a setting of some section.
    """
    below = list(dataclasses_below(NodeConfig))
    leaves = sum(
        not dataclasses.is_dataclass(hint)
        for schema in below
        for hint in get_type_hints(schema).values()
        if not isinstance(hint, types.NoneType)
    )

    assert len(options()) == leaves
    assert len(sections()) == len(below)


def test_toml_types_are_exact() -> None:
    """
    TOML's booleans are no numbers and its strings no lists.
    """
    by_name = {option.name: option for option in options()}

    with pytest.raises(ValueError, match="must be a whole number, got true or false"):
        from_toml(by_name["http.port"], value=True)
    with pytest.raises(ValueError, match="must be a list, got a string"):
        from_toml(by_name["http.api"], "eth")
    assert from_toml(by_name["rpc.txfeecap"], 2) == 2.0
