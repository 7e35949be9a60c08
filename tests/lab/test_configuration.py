import sqlite3
from pathlib import Path

import pytest

from lab import configuration
from lab.configuration import SLOTS, VERSIONS, Layout


def sections(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("[")]


def test_static_peers_of_16_are_sections_of_sip_conf() -> None:
    files = configuration.render(Layout("16", 0, 2), "/m")
    assert sections(files["sip.conf"]) == [
        "[general]",
        "[static](!)",
        "[u000000](static)",
        "[u000001](static)",
    ]
    assert "pjsip.conf" not in files


def test_each_endpoint_of_22_has_an_aor_of_its_name() -> None:
    files = configuration.render(Layout("22", 0, 2), "/m")
    text = files["pjsip.conf"]
    assert text.count("[u000001](static)\naors = u000001\n[u000001]\ntype = aor\n") == 1
    assert len(sections(text)) == 3 + 2 * 2
    assert "sip.conf" not in files


def test_modules_are_loaded_from_the_directory_of_the_package() -> None:
    files = configuration.render(Layout("16", 0, 0), "/usr/lib/asterisk/modules")
    assert "astmoddir => /usr/lib/asterisk/modules\n" in files["asterisk.conf"]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_address_in_the_configuration_is_the_loopback(version: str) -> None:
    for name, text in configuration.render(Layout(version, 0, 1), "/m").items():
        for line in text.splitlines():
            if "bind" in line:
                assert line.split("=")[1].strip().split(":")[0] == "127.0.0.1", (name, line)


def test_no_two_instances_share_a_port() -> None:
    taken: set[int] = set()
    for version in VERSIONS:
        for slot in range(SLOTS):
            layout = Layout(version, slot, 0)
            first, last = layout.rtp_ports
            ports = {layout.sip_port, *range(first, last + 1)}
            assert not ports & taken
            taken |= ports
    assert max(taken) < 1 << 16


def test_realtime_peers_are_found_by_name(tmp_path: Path) -> None:
    configuration.write_realtime_peers(tmp_path / "db")
    database = sqlite3.connect(tmp_path / "db")
    rows = database.execute("select name, host, secret from sippeers order by name").fetchall()
    assert len(rows) == 1000
    assert rows[0] == ("rt00000", "dynamic", None)
    assert [row[0] for row in rows] == configuration.traffic_users("16", 0)


def test_a_column_that_chan_sip_selects_by_matches_no_peer(tmp_path: Path) -> None:
    configuration.write_realtime_peers(tmp_path / "db")
    database = sqlite3.connect(tmp_path / "db")
    query = "select count(*) from sippeers where \"callbackextension\" like '%'"
    assert database.execute(query).fetchone() == (0,)


def test_users_of_22_are_its_static_endpoints() -> None:
    assert configuration.traffic_users("22", 2) == ["u000000", "u000001"]
