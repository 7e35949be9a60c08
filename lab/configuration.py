"""The configuration of one lab instance, as text: files under /etc/asterisk and the realtime peers.

Everything listens on the loopback address only.
"""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

VERSIONS = ("16", "22")
# A slot is one instance of a version; each has ports of its own.
SLOTS = 16
PORTS_PER_SLOT = 10
SIP_PORTS = {"16": 15060, "22": 25060}
RTP_PORTS = {"16": 42000, "22": 26000}
RTP_PORTS_PER_SLOT = 1000
REALTIME_PEERS = 1000
DATABASE = "/var/lib/asterisk/realtime.sqlite3"

COMMON_MODULES = (
    "pbx_config",
    "app_dial",
    "app_echo",
    "app_playback",
    "app_stack",
    "app_verbose",
    "func_callerid",
    "func_strings",
    "codec_ulaw",
    "codec_alaw",
    "codec_gsm",
    "format_pcm",
    "bridge_simple",
    "res_timing_timerfd",
    "res_crypto",
    "res_http_websocket",
    # res_rtp_asterisk of 16 needs it too
    "res_pjproject",
    "res_rtp_asterisk",
    "res_sorcery_config",
    "res_sorcery_memory",
    "res_sorcery_astdb",
    "res_sorcery_realtime",
)
VERSION_MODULES = {
    "16": ("res_config_sqlite3", "chan_sip"),
    "22": (
        "res_pjsip",
        "res_pjsip_session",
        "res_pjsip_authenticator_digest",
        "res_pjsip_endpoint_identifier_user",
        "res_pjsip_endpoint_identifier_ip",
        "res_pjsip_endpoint_identifier_anonymous",
        "res_pjsip_registrar",
        "res_pjsip_sdp_rtp",
        "res_pjsip_caller_id",
        "res_pjsip_nat",
        "res_pjsip_rfc3326",
        # chan_pjsip does not load without it
        "res_pjsip_pubsub",
        "chan_pjsip",
        "func_pjsip_endpoint",
    ),
}

FIXED = {
    "logger.conf": "[general]\n[logfiles]\nmessages => notice,warning,error\n",
    "http.conf": "[general]\nenabled = no\nbindaddr = 127.0.0.1\n",
    "manager.conf": "[general]\nenabled = no\nbindaddr = 127.0.0.1\n",
    "cdr.conf": "[general]\nenable = no\n",
    "cel.conf": "[general]\nenable = no\n",
    "features.conf": "[general]\n",
    "udptl.conf": "[general]\n",
    "indications.conf": "[general]\ncountry = us\n[us]\ndescription = lab\ndial = 350+440\n",
    "pjproject.conf": "[startup]\n",
    "res_config_sqlite3.conf": f"[lab]\ndbfile => {DATABASE}\nrequirements => warn\n",
    "acl.conf": "",
    "ccss.conf": "",
    "codecs.conf": "",
    "dnsmgr.conf": "",
    "sorcery.conf": "",
    "stasis.conf": "",
    "extensions.conf": (
        "[default]\n"
        "exten => 100,1,Answer()\n same => n,Echo()\n"
        "exten => 101,1,Answer()\n same => n,Wait(1)\n same => n,Hangup()\n"
    ),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """What an instance's configuration depends on."""

    version: str
    slot: int
    endpoints: int

    @property
    def sip_port(self) -> int:
        """Return the UDP port that the instance answers SIP on."""
        return SIP_PORTS[self.version] + PORTS_PER_SLOT * self.slot

    @property
    def rtp_ports(self) -> tuple[int, int]:
        """Return the first and the last UDP port that the instance takes for media."""
        first = RTP_PORTS[self.version] + RTP_PORTS_PER_SLOT * self.slot
        return first, first + RTP_PORTS_PER_SLOT - 1


def asterisk_conf(modules: str) -> str:
    """Return asterisk.conf: the directories of Debian's package, a quiet console."""
    return (
        "[directories]\n"
        "astetcdir => /etc/asterisk\n"
        f"astmoddir => {modules}\n"
        "astvarlibdir => /var/lib/asterisk\n"
        "astdbdir => /var/lib/asterisk\n"
        "astkeydir => /var/lib/asterisk\n"
        "astdatadir => /usr/share/asterisk\n"
        "astagidir => /usr/share/asterisk/agi-bin\n"
        "astspooldir => /var/spool/asterisk\n"
        "astrundir => /var/run/asterisk\n"
        "astlogdir => /var/log/asterisk\n"
        "[options]\n"
        "verbose = 0\n"
        "debug = 0\n"
        "nocolor = yes\n"
    )


def modules_conf(version: str) -> str:
    """Return modules.conf: only what the lab's traffic needs."""
    names = COMMON_MODULES + VERSION_MODULES[version]
    return "[modules]\nautoload = no\n" + "".join(f"load = {name}.so\n" for name in names)


def sip_conf(layout: Layout) -> str:
    """Return sip.conf: realtime peers, not cached, and the static peers asked for."""
    general = (
        "[general]\n"
        "context = default\n"
        "allowguest = yes\n"
        # bindaddr after udpbindaddr would override the port
        f"udpbindaddr = 127.0.0.1:{layout.sip_port}\n"
        "tcpenable = no\n"
        "srvlookup = no\n"
        "qualify = no\n"
        "rtcachefriends = no\n"
        "rtupdate = yes\n"
        "alwaysauthreject = no\n"
        "maxexpiry = 3600\n"
        "disallow = all\n"
        "allow = ulaw\n"
        "[static](!)\n"
        "type = friend\n"
        "host = dynamic\n"
        "context = default\n"
        "insecure = port,invite\n"
    )
    return general + "".join(f"[{user}](static)\n" for user in static_users(layout))


def pjsip_conf(layout: Layout) -> str:
    """Return pjsip.conf: one transport, and an endpoint with its AOR for each static user."""
    general = (
        "[loopback]\n"
        "type = transport\n"
        "protocol = udp\n"
        f"bind = 127.0.0.1:{layout.sip_port}\n"
        "[anonymous]\n"
        "type = endpoint\n"
        "context = default\n"
        "disallow = all\n"
        "allow = ulaw\n"
        "[static](!)\n"
        "type = endpoint\n"
        "context = default\n"
        "disallow = all\n"
        "allow = ulaw\n"
        "direct_media = no\n"
    )
    return general + "".join(
        f"[{user}](static)\naors = {user}\n"
        f"[{user}]\ntype = aor\nmax_contacts = 2\nremove_existing = yes\n"
        for user in static_users(layout)
    )


def static_users(layout: Layout) -> list[str]:
    """Return the names of the endpoints that the configuration file itself defines."""
    return [f"u{number:06d}" for number in range(layout.endpoints)]


def traffic_users(version: str, endpoints: int) -> list[str]:
    """Return the names that may register: realtime peers on 16, static endpoints on 22."""
    if version == "16":
        return [f"rt{number:05d}" for number in range(REALTIME_PEERS)]
    return [f"u{number:06d}" for number in range(endpoints)]


def render(layout: Layout, modules: str) -> dict[str, str]:
    """Return the text of every file of /etc/asterisk, by name; modules is where modules are."""
    first, last = layout.rtp_ports
    files = {
        **FIXED,
        "asterisk.conf": asterisk_conf(modules),
        "modules.conf": modules_conf(layout.version),
        "rtp.conf": f"[general]\nrtpstart = {first}\nrtpend = {last}\n",
    }
    if layout.version == "16":
        files["extconfig.conf"] = "[settings]\nsippeers => sqlite3,lab,sippeers\n"
        files["sip.conf"] = sip_conf(layout)
    else:
        files["extconfig.conf"] = ""
        files["pjsip.conf"] = pjsip_conf(layout)
    return files


COLUMNS = (
    "name varchar(40) unique not null, ipaddr varchar(45), port integer, regseconds integer, "
    "defaultuser varchar(40), fullcontact varchar(80), regserver varchar(20), "
    "useragent varchar(80), lastms integer, host varchar(40), type varchar(10), "
    "context varchar(40), secret varchar(40), insecure varchar(40), disallow varchar(40), "
    "allow varchar(40), nat varchar(29), qualify varchar(40), "
    # chan_sip selects by it at load; to sqlite a quoted name that is no column is a string that
    # every row matches
    "callbackextension varchar(40)"
)


def write_realtime_peers(path: Path) -> None:
    """Write the database of realtime chan_sip peers; none has a secret."""
    database = sqlite3.connect(path)
    try:
        database.execute(f"create table sippeers(id integer primary key, {COLUMNS})")
        for number, columns in enumerate(("name, host", "ipaddr, port", "host, port")):
            database.execute(f"create index lookup{number} on sippeers({columns})")
        database.executemany(
            "insert into sippeers(name, host, type, context, insecure, disallow, allow, qualify)"
            " values(?, 'dynamic', 'friend', 'default', 'port,invite', 'all', 'ulaw', 'no')",
            [(user,) for user in traffic_users("16", 0)],
        )
        database.commit()
    finally:
        database.close()
