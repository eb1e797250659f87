"""When nothing changes any more: what the mounts, the kernel and Redis show is what PostgreSQL has."""

import os

from race_rows import KEYS, row_text, table_of, who_number
from race_world import Mount, sql


def expected():
    """key → text"""
    texts = {}
    for line in sql("SELECT id, v, who FROM rows UNION ALL SELECT id, v, who FROM others").splitlines():
        key, version, who = line.split("|")
        texts[int(key)] = row_text(int(key), int(version), who_number(who))
    return texts


def content(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read()
    except FileNotFoundError:
        return None


def size(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return None


def compare(place, texts, listings=True):
    """What is wrong at this mount, as sentences. Sizes first: reading would correct what the kernel holds."""
    for table in ("rows", "others") if listings else ():
        folder = f"{place}/public/{table}"
        found = {entry.name: entry.stat().st_size for entry in os.scandir(folder) if entry.name.endswith(".json")}
        wanted = {f"{key}.json": len(text) for key, text in texts.items() if table_of(key) == table}
        if found != wanted:
            yield f"{folder} lists {sorted(found.items() - wanted.items())}, not {sorted(wanted.items() - found.items())}"
    for key in KEYS:
        path, text = f"{place}/public/{table_of(key)}/{key}.json", texts.get(key)
        if size(path) != (len(text) if text else None):
            yield f"{path} has {size(path)} bytes, not {len(text) if text else 'absent'}"
        if content(path) != text:
            yield f"{path} reads {content(path)!r}, not {text!r}"


def differences(world):
    """The mounts of the race as they are; then a new one, which has read nothing and gets what Redis holds."""
    texts = expected()
    wrong = []
    for mount in world.mounts:
        wrong += compare(mount.place, texts)
    fresh = Mount(world, len(world.mounts), (), "noworker")
    world.mounts.append(fresh)
    fresh.start()
    wrong += compare(fresh.place, texts, listings=False)
    print(f"a fresh mount: {len(texts)} rows, {fresh.status().get('cache_hits')} times answered by Redis")
    if expected() != texts:
        wrong.append("rows changed when nobody was to write")
    return wrong
