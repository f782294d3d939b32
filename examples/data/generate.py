#!/usr/bin/env python3
"""Writes the sample data of the examples, the same bytes every time.

Run it without arguments, from anywhere:

    python3 examples/data/generate.py

It writes beside itself:

config-entries.txt   the configuration of an invented company, more than 12,000 entries:
                     `key=value` lines, comments (`#` first), blank lines; UTF-8; no bad line,
                     no key twice. The key ends at the first `=`; values may hold more of them.
with-bad-lines.txt   30 lines, some of them bad in every way a reader has to report.
sample.jsonl         200 of the entries as {"key": …, "value": …}, one a line.

Random numbers come from `Random.random()` only: Python keeps its sequence for a seed the same in
all versions, which it does not promise for `choice` or `shuffle`. Only the standard library.
"""

import json
import random
from pathlib import Path

from sample_texts import ALERTS, LONG_RULE_PARTS, MESSAGES, SCHEMA_FIELDS

SEED = 20_260_101
VALUE_BYTES_MAX = 2048
LINE_BYTES_MAX = 8192
FILE_BYTES_MAX = 2_000_000
ENTRY_COUNT_MIN = 12_000
FOLDER = Path(__file__).parent

REGIONS = {
    "prod": ["eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-southeast-1",
             "ap-northeast-1"],
    "staging": ["eu-west-1", "us-east-1"],
}

# Service, owning team, its port, whether it has a database of its own.
SERVICES = [
    ("account", "identity", 8101, True), ("address-book", "identity", 8102, True),
    ("audit-log", "security", 8103, True), ("basket", "shop", 8104, True),
    ("catalog", "shop", 8105, True), ("checkout", "payments", 8106, True),
    ("consent", "privacy", 8107, True), ("coupon", "marketing", 8108, True),
    ("currency", "payments", 8109, False), ("delivery-slots", "logistics", 8110, True),
    ("email", "messaging", 8111, False), ("fraud-check", "risk", 8112, True),
    ("geocoder", "logistics", 8113, False), ("gift-card", "payments", 8114, True),
    ("image-resizer", "media", 8115, False), ("inventory", "logistics", 8116, True),
    ("invoice", "finance", 8117, True), ("ledger", "finance", 8118, True),
    ("login", "identity", 8119, True), ("loyalty", "marketing", 8120, True),
    ("notifications", "messaging", 8121, True), ("order-history", "shop", 8122, True),
    ("parcel-tracking", "logistics", 8123, True), ("payment-gateway", "payments", 8124, True),
    ("price-engine", "shop", 8125, False), ("profile", "identity", 8126, True),
    ("push", "messaging", 8127, False), ("recommendations", "machine-learning", 8128, False),
    ("refund", "payments", 8129, True), ("returns", "logistics", 8130, True),
    ("reviews", "shop", 8131, True), ("search", "search", 8132, False),
    ("search-indexer", "search", 8133, False), ("session-store", "identity", 8134, False),
    ("sms", "messaging", 8135, False), ("subscription", "payments", 8136, True),
    ("support-desk", "support", 8137, True), ("tax", "finance", 8138, False),
    ("warehouse", "logistics", 8139, True), ("web-frontend", "shop", 8140, False),
]

FEATURES = [
    "new-cart", "one-page-checkout", "dark-mode", "guest-login", "passkeys", "instant-refund",
    "saved-searches", "price-alerts", "image-zoom", "express-delivery", "split-payment",
    "review-photos", "live-chat", "address-autocomplete", "gift-wrapping", "bulk-order",
]

TENANTS = [
    "acme", "aurora-books", "bergmann", "blue-harbor", "casa-verde", "delta-toys", "edelweiss",
    "fjord-outdoor", "green-grocer", "hoshino", "isla-moda", "juniper", "kraków-keramika",
    "lumen", "maison-noël", "nordlicht", "olive-and-co", "papierwelt", "quincaillerie", "riverside",
    "são-bento", "tannenhof", "umbra", "velocity", "wildwood", "xenia", "yamamoto", "zephyr",
]


class Dice:
    """Seeded draws that stay the same in every version of Python."""

    def __init__(self, seed):
        self._random = random.Random(seed)

    def below(self, limit):
        return int(self._random.random() * limit)

    def between(self, first, last):
        return first + self.below(last - first + 1)

    def pick(self, items):
        return items[self.below(len(items))]

    def chance(self, percent):
        return self.below(100) < percent

    def hexadecimal(self, digits):
        return "".join(self.pick("0123456789abcdef") for _ in range(digits))


class Entries:
    """Lines in order of writing; refuses what the format does not allow."""

    def __init__(self):
        self.lines = []
        self.values = {}

    def comment(self, text):
        if self.lines:
            self.lines.append("")
        self.lines.append(f"# {text}")

    def put(self, key, value):
        value = compact_json(value) if isinstance(value, (dict, list)) else str(value)
        assert key.startswith("/") and "=" not in key and " " not in key, key
        assert "\n" not in value and "\r" not in value, key
        assert len(value.encode()) <= VALUE_BYTES_MAX, (key, len(value.encode()))
        assert key not in self.values, key
        self.values[key] = value
        self.lines.append(f"{key}={value}")


def compact_json(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def add_service(entries, dice, environment, region, service):
    """What one service reads at its start in one region."""
    name, team, port, has_database = service
    root = f"/{environment}/{region}/{name}"
    host = f"{name}.{region}.{environment}.internal"
    entries.comment(f"{name} in {region}, owned by {team}")
    entries.put(f"{root}/owner", f"team-{team}@example.com")
    entries.put(f"{root}/version", f"{dice.between(1, 9)}.{dice.below(40)}.{dice.below(12)}")
    entries.put(f"{root}/replicas", dice.between(2, 24) if environment == "prod" else 2)
    entries.put(f"{root}/http/listen", f"0.0.0.0:{port}")
    entries.put(f"{root}/http/public-url", f"https://{host}/api/v{dice.between(1, 3)}")
    entries.put(f"{root}/http/read-timeout-ms", dice.pick([500, 800, 1500, 2500, 5000]))
    entries.put(f"{root}/http/write-timeout-ms", dice.pick([1000, 2000, 5000, 10000]))
    entries.put(f"{root}/http/idle-timeout-s", dice.pick([30, 60, 75, 120]))
    entries.put(f"{root}/http/connections-max", dice.pick([256, 512, 1024, 4096]))
    entries.put(f"{root}/http/body-bytes-max", dice.pick([65536, 1048576, 8388608]))
    entries.put(f"{root}/log/level", dice.pick(["info", "info", "info", "warn", "debug"]))
    entries.put(f"{root}/log/sample-ratio", dice.pick(["1.0", "0.25", "0.1", "0.01"]))
    entries.put(f"{root}/tracing/endpoint", f"http://otel-collector.{region}.internal:4317")
    entries.put(f"{root}/tls/certificate-file", f"/etc/{name}/tls/server.pem")
    entries.put(f"{root}/tls/key-file", f"/etc/{name}/tls/server.key")
    entries.put(f"{root}/tls/client-ca-file", f"/etc/ssl/company/{region}-ca.pem")
    entries.put(f"{root}/tls/min-version", dice.pick(["1.2", "1.3"]))
    entries.put(f"{root}/limits/requests-per-second", dice.pick([50, 200, 500, 2000, 10000]))
    entries.put(f"{root}/limits/burst", dice.pick([20, 100, 400, 1000]))
    entries.put(f"{root}/limits/memory", f"{dice.pick([256, 512, 1024, 2048, 4096])}Mi")
    entries.put(f"{root}/limits/cpu", f"{dice.pick([250, 500, 1000, 2000, 4000])}m")
    entries.put(f"{root}/retry", {
        "attempts": dice.between(2, 5), "base_ms": dice.pick([20, 50, 100]),
        "cap_ms": dice.pick([1000, 2000, 5000]), "jitter": "full",
        "on": ["connect-failure", "502", "503"],
    })
    entries.put(f"{root}/maintenance-note", "" if dice.chance(90) else "read-only on Sunday 02:00")
    if has_database:
        add_database(entries, dice, root, name, f"{region}.{environment}.internal")
    add_upstreams(entries, dice, root, name, f"{region}.{environment}.internal")
    entries.put(f"{root}/kafka/topic", f"{name}.events.v{dice.between(1, 3)}")
    entries.put(f"{root}/kafka/partitions", dice.pick([6, 12, 24, 48]))
    entries.put(f"{root}/cache/ttl-s", dice.pick([5, 30, 300, 3600]))


def add_database(entries, dice, root, name, domain):
    user = name.replace("-", "_")
    address = f"db-{name}.{domain}:5432/{user}"
    query = f"sslmode=verify-full&application_name={name}"
    entries.put(f"{root}/db/dsn", f"postgres://{user}@{address}?{query}")
    entries.put(f"{root}/db/password-file", f"/run/secrets/{name}/db-password")
    entries.put(f"{root}/db/pool/size-max", dice.pick([8, 16, 32, 64]))
    entries.put(f"{root}/db/pool/acquire-timeout-ms", dice.pick([200, 500, 1000]))
    entries.put(f"{root}/db/statement-timeout-ms", dice.pick([2000, 5000, 15000]))
    entries.put(f"{root}/db/migrations", dice.pick(["run-at-start", "manual"]))


def add_upstreams(entries, dice, root, name, domain):
    """The other services this one calls."""
    others = sorted({dice.pick(SERVICES)[0] for _ in range(4)} - {name})
    for other in others:
        entries.put(f"{root}/upstream/{other}/url", f"https://{other}.{domain}")
        entries.put(f"{root}/upstream/{other}/timeout-ms", dice.pick([150, 300, 600, 1200]))
        entries.put(f"{root}/upstream/{other}/circuit-breaker", {
            "failures": dice.pick([5, 10, 20]), "open_s": dice.pick([5, 15, 30])})


def add_features(entries, dice):
    entries.comment("Feature flags: who sees what. Percentages are of users, by hash of their id.")
    for name, team, _, _ in SERVICES:
        for feature in FEATURES:
            if not dice.chance(70):
                continue
            rollout = {"enabled": dice.chance(60), "percent": dice.pick([0, 1, 5, 25, 50, 100])}
            if dice.chance(40):
                rollout["countries"] = sorted({dice.pick(["DE", "FR", "US", "JP", "BR", "PL"])
                                               for _ in range(3)})
            if dice.chance(20):
                rollout["until"] = f"2026-{dice.between(1, 12):02}-{dice.between(1, 28):02}"
            rollout["owner"] = team
            entries.put(f"/features/{name}/{feature}", rollout)


def add_instances(entries, dice):
    entries.comment("Running instances, as each registers itself under a lease.")
    for name, _, port, _ in SERVICES:
        for region_index, region in enumerate(REGIONS["prod"]):
            for _ in range(dice.between(2, 5)):
                address = f"10.{20 + region_index}.{dice.below(256)}.{dice.between(1, 254)}"
                entries.put(f"/services/{name}/{region}/{dice.hexadecimal(12)}", {
                    "address": f"{address}:{port}", "zone": f"{region}{dice.pick('abc')}",
                    "weight": dice.pick([50, 100, 100, 100]),
                    "started": f"2026-01-{dice.between(1, 28):02}T{dice.below(24):02}:00:00Z"})


def add_routing(entries, dice):
    entries.comment("Routing rules of the edge proxies; the first that matches wins.")
    for number, (name, _, port, _) in enumerate(SERVICES):
        for region in REGIONS["prod"]:
            canary = dice.pick([0, 0, 1, 5, 10])
            entries.put(f"/routing/{region}/{(number + 1) * 10:04}-{name}", {
                "match": {"host": "api.example.com", "path": f"/v1/{name}/*"},
                "to": [{"service": name, "port": port, "subset": "stable", "weight": 100 - canary},
                       {"service": name, "port": port, "subset": "canary", "weight": canary}],
                "timeout_ms": dice.pick([1000, 3000, 10000]),
                "rewrite": f"^/v1/{name}/(.*)$ => /$1"})


def add_tenants(entries, dice):
    entries.comment("Shops that run on the platform, and what their contracts allow.")
    for tenant in TENANTS:
        root = f"/tenants/{tenant}"
        entries.put(f"{root}/display-name", tenant.replace("-", " ").title())
        entries.put(f"{root}/plan", dice.pick(["starter", "business", "enterprise"]))
        entries.put(f"{root}/home-region", dice.pick(REGIONS["prod"]))
        entries.put(f"{root}/support-mail", f"help+{dice.between(100, 999)}@example.com")
        for name, _, _, _ in SERVICES:
            if dice.chance(50):
                limit = {"per_minute": dice.pick([60, 600, 6000]), "burst": dice.pick([10, 100])}
                entries.put(f"{root}/limits/{name}", limit)


def add_messages(entries):
    entries.comment("Texts that customers read. Placeholders stand in braces.")
    for language, texts in MESSAGES.items():
        for name, text in texts.items():
            entries.put(f"/messages/{language}/{name}", text)


def add_long_values(entries, dice):
    entries.comment("Alert rules, one for each service.")
    for name, team, _, _ in SERVICES:
        for alert, expression in ALERTS.items():
            entries.put(f"/alerts/{name}/{alert}", {
                "expr": expression.replace("SERVICE", name), "for": dice.pick(["2m", "5m", "15m"]),
                "labels": {"severity": dice.pick(["page", "ticket"]), "team": team},
                "annotations": {"runbook": f"https://runbooks.example.com/{name}/{alert}"}})
    entries.comment("Schemas of the events that services publish.")
    for name, _, _, _ in SERVICES:
        fields = {}
        for _ in range(dice.between(10, 20)):
            field, kind, text = dice.pick(SCHEMA_FIELDS)
            fields[field] = {"type": kind, "description": text}
        entries.put(f"/schemas/{name}.events", {
            "$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"{name} event",
            "type": "object", "properties": fields, "required": sorted(fields)[:3]})
    entries.comment("Web application firewall: one long expression a service.")
    for name, _, _, _ in SERVICES:
        rule = f"service == '{name}' && ("
        length_min = dice.between(900, 1900)
        while len(rule) < length_min:
            rule += dice.pick(LONG_RULE_PARTS) + " || "
        entries.put(f"/firewall/{name}", rule + "ip.src in $blocked)")


def all_entries():
    dice = Dice(SEED)
    entries = Entries()
    entries.comment("Configuration of an invented company. Written by generate.py; do not edit.")
    for environment, regions in REGIONS.items():
        for region in regions:
            for service in SERVICES:
                add_service(entries, dice, environment, region, service)
    add_features(entries, dice)
    add_instances(entries, dice)
    add_routing(entries, dice)
    add_tenants(entries, dice)
    add_messages(entries)
    add_long_values(entries, dice)
    return entries


def lines_with_bad_ones():
    """30 lines; the comments in the file say which are bad, and why."""
    overlong = b"/bad/overlong=" + b"x" * (LINE_BYTES_MAX + 1)
    lines = [
        b"# For tests of the reader. Good entries: lines 4, 5, 6, 14, 20, 21, 25, 28, 30.",
        b"# Bad: 8 9 (no '='), 10 (JSON), 12 13 (no key), 16 17 18 (not UTF-8), 23 (too long).",
        b"# Keys given before: 26 (as 4), 27 (as 4), 29 (as 28).",
        b"/good/first=1",
        b"/good/empty-value=",
        b"/good/equals-in-value=a=b==c",
        b"# No '='; JSON without its end:",
        b"/bad/no-equals-sign",
        b"just some words",
        b"{\"key\": \"/bad/json\", \"value\": \"1\"",
        b"# No key:",
        b"=value-without-key",
        b"=",
        b"/good/after-empty-keys=2",
        b"# Not UTF-8: Latin-1, a cut-off sequence, a surrogate; two in the value, one in the key.",
        b"/bad/latin-1=caf\xe9",
        b"/bad/cut-off=\xe2\x82",
        b"/bad/surrogate-\xed\xa0\x80=value",
        b"",
        "/good/utf-8=Grüße, 東京, 🚚".encode(),
        b"/good/spaces-in-value=two words and a # sign",
        b"# Longer than 8,192 bytes:",
        overlong,
        b"# The same key again: another value, the same value, and right after each other.",
        b"/good/before-duplicates=3",
        b"/good/first=other",
        b"/good/first=1",
        b"/good/twin=4",
        b"/good/twin=5",
        b"/good/last=6",
    ]
    assert len(lines) == 30
    return lines


def sample_lines(entries):
    keys = sorted(entries.values)
    step = len(keys) // 200
    chosen = keys[::step][:200]
    assert len(chosen) == 200
    return [json.dumps({"key": key, "value": entries.values[key]}, ensure_ascii=False)
            for key in chosen]


def write(name, lines):
    content = b"".join(line + b"\n" for line in lines)
    assert len(content) <= FILE_BYTES_MAX, (name, len(content))
    (FOLDER / name).write_bytes(content)
    print(f"{name}: {len(lines)} lines, {len(content)} bytes")


def main():
    entries = all_entries()
    assert len(entries.values) >= ENTRY_COUNT_MIN, len(entries.values)
    assert all(len(line.encode()) <= LINE_BYTES_MAX for line in entries.lines)
    write("config-entries.txt", [line.encode() for line in entries.lines])
    write("with-bad-lines.txt", lines_with_bad_ones())
    write("sample.jsonl", [line.encode() for line in sample_lines(entries)])


if __name__ == "__main__":
    main()
