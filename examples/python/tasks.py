#!/usr/bin/env python3
"""Tasks on the command line, offline first, with nothing but Python's standard library (3.9 or later).

    tasks.py add TITLE | edit ID TITLE | done ID | delete ID | list | sync | problems

It follows "A client's loop" of docs/protocol.md: `server` holds the records as the server gave them last, `outbox` the operations
that it has not answered, and the user sees the outbox folded over `server`. A refused operation leaves the outbox, and that is all.
"""
import contextlib, http.client, json, os, random, sqlite3, sys, time, urllib.request, uuid
from datetime import datetime, timedelta, timezone

URL = os.environ.get("TASK_SYNC_URL", "http://localhost:5000").rstrip("/")
FILE = os.environ.get("TASK_SYNC_FILE", "tasks.sqlite")
BATCH = 200  # operations a request
WORDS = {"add": 1, "edit": 2, "done": 1, "delete": 1, "list": 0, "sync": 0, "problems": 0}  # that a command wants
PATIENCE = 6  # failures after which `sync` ends; called again, it goes on from there
Later = type("Later", (Exception,), {})  # not now: again after so many seconds, or after a growing random time
Stop = type("Stop", (Exception,), {})  # a person has to look: not signed in, not allowed; nothing is dropped for it

class AnyStatus(urllib.request.HTTPErrorProcessor):
    http_response = https_response = lambda self, request, response: response

def open_store():
    db = sqlite3.connect(FILE, timeout=60)
    db.executescript("""
        CREATE TABLE IF NOT EXISTS server (id TEXT PRIMARY KEY, seq INTEGER, record TEXT);
        CREATE TABLE IF NOT EXISTS outbox (n INTEGER PRIMARY KEY AUTOINCREMENT, item TEXT);
        CREATE TABLE IF NOT EXISTS problems (n INTEGER PRIMARY KEY, message TEXT, item TEXT);
        CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value);
        INSERT OR IGNORE INTO meta VALUES ('client_id', lower(hex(randomblob(16)))), ('last_edit', 0), ('cursor', NULL)""")
    return db

def meta(db, name):
    return db.execute("SELECT value FROM meta WHERE name = ?", [name]).fetchone()[0]

def time_of(micros):
    return (datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=micros)).isoformat()

def edit(db, operation, data):
    """The user did something: an operation, later than all before it even where the clock went back."""
    with db:
        db.execute("UPDATE meta SET value = max(value + 1, ?) WHERE name = 'last_edit'", [time.time_ns() // 1000])
        item = {"client_id": meta(db, "client_id"), "op_id": str(uuid.uuid4()), "operation": operation,
                "data": {**data, "updated_at": time_of(meta(db, "last_edit"))}}
        db.execute("INSERT INTO outbox (item) VALUES (?)", [json.dumps(item)])

def view(db):
    """What the user sees, by id: the outbox folded over what the server has."""
    records = {id: json.loads(record) for id, record in db.execute("SELECT id, record FROM server ORDER BY id")}
    for item in (json.loads(text) for (text,) in db.execute("SELECT item FROM outbox ORDER BY n")):
        id, record = item["data"]["id"], records.get(item["data"]["id"])
        if record or item["operation"] == "create":
            records[id] = {"completed": False, **(record or {}), **item["data"], "deleted": item["operation"] == "delete"}
    return {id: record for id, record in records.items() if not record["deleted"]}

def ask(path, wanted, body=None, known=()):
    """Returns status and JSON of an answer that has what is wanted, and of a refusal that the caller knows what to do about."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.build_opener(AnyStatus).open(request, timeout=60) as answer:
            text = answer.read()
        content = json.loads(text) if text.startswith(b"{") else {}
    except (OSError, http.client.HTTPException, ValueError):
        raise Later()  # no network, or an answer that was cut off: nobody knows whether the request arrived
    if answer.status < 300 and wanted in content or answer.status in known and ("code" in content or answer.status != 400):
        return answer.status, content
    if answer.status < 300 or answer.status in (408, 429) or answer.status >= 500:
        raise Later(answer.headers.get("Retry-After"))
    raise Stop(f"{URL} answered {answer.status}: {content.get('detail', 'it does not say why')}")

def take(db, record):
    """A record of the server's replaces an older one and never a newer one, however late it comes."""
    db.execute("INSERT INTO server VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, "
               "record = excluded.record WHERE excluded.seq >= seq", [record["id"], record["seq"], json.dumps(record)])

def settle(db, n, item, result):
    """Takes over what became of an operation. What is pending stays: it is sent again until it is settled."""
    if result["status"] == "pending":
        return
    db.execute("DELETE FROM outbox WHERE n = ?", [n])
    if result.get("resolved_data"):
        take(db, result["resolved_data"])
    elif "resolved_data" in result and not result.get("resolved_data_omitted"):  # null: the server has no such task
        db.execute("DELETE FROM server WHERE id = ?", [item["data"]["id"]])
    if result["status"] in ("conflict", "not_found", "error"):
        db.execute("INSERT INTO problems (message, item) VALUES (?, ?)", [result["message"], json.dumps(item)])

def push(db):
    """Sends the outbox, oldest first, one request at a time."""
    size, sent = BATCH, 0
    while rows := db.execute("SELECT n, item FROM outbox WHERE n > ? ORDER BY n LIMIT ?", [sent, size]).fetchall():
        items = [json.loads(item) for _, item in rows]
        body = {"client_timestamp": time_of(time.time_ns() // 1000), "items": items}
        status, answer = ask("/api/sync/batch", "processed_items", body, known=(400, 408, 413))
        if status >= 400 and len(rows) > 1:
            size = len(rows) // 2  # too much, too slow, or one of them spoils the request
            continue
        if status == 408:
            raise Later()
        # Refused alone, an operation will never be taken: it is given up, and listed with the problems.
        given_up = [{"status": "error", "message": answer.get("detail", f"The server answered {status}.")}]
        with db:  # what became of an operation, and that it is answered: both or neither
            for (n, _), item, result in zip(rows, items, answer.get("processed_items", given_up)):
                settle(db, n, item, result)
        sent, size = rows[-1][0], min(2 * size, BATCH)

def pull(db):
    """Reads the feed to its end. Without a cursor, or with one that cannot be continued, it reads all and replaces what it had."""
    cursor, records, more = meta(db, "cursor"), [], True
    everything = cursor is None
    while more:
        path = "/api/sync/changes?limit=1000" + (f"&cursor={cursor}" if cursor else "")
        status, page = ask(path, "changes", known=(400, 410) if cursor else ())
        if status < 300:
            cursor, records, more = page["cursor"], records + page["changes"], page["has_more"]
        else:
            cursor, records, everything = None, [], True
    with db:  # the records, and the place up to which they go: both or neither
        if everything:
            db.execute("DELETE FROM server")
        for record in records:
            take(db, record)
        db.execute("UPDATE meta SET value = ? WHERE name = 'cursor'", [cursor])

def sync(db):
    """Pushes and pulls until everything is settled, whatever the network does meanwhile."""
    if not URL.startswith(("http://", "https://")):
        raise Stop(f"TASK_SYNC_URL has to begin with http:// or https:// (it is {URL}).")
    failures, wait = 0, 0
    with contextlib.closing(sqlite3.connect(FILE + "-lock", timeout=60)) as lock:
        lock.execute("BEGIN EXCLUSIVE")  # one at a time
        while failures <= PATIENCE:
            time.sleep(wait)
            try:
                push(db)
                pull(db)
                if not db.execute("SELECT 1 FROM outbox").fetchone():
                    return
                raise Later("1")  # the server has it, and has not applied it yet
            except Later as later:
                failures, told = failures + 1, str(later)
                wait = int(told) if told.isdigit() else random.uniform(0, min(60, 2 ** failures))
    raise Stop("The server does not answer, or is not done. Nothing is lost; sync again later.")

def main(command="list", *words):
    if len(words) != WORDS.get(command) or "" in words:
        print("Usage:", __doc__.split("\n\n")[1].strip(), file=sys.stderr)
        sys.exit(2)
    first, second = (*words, "", "")[:2]
    db = open_store()
    if command in ("edit", "done", "delete") and first not in view(db):
        raise Stop(f"There is no task {first}; list shows what there is.")
    edits = {"add": ("create", {"id": str(uuid.uuid4()), "title": first}), "edit": ("update", {"id": first, "title": second}),
             "done": ("update", {"id": first, "completed": True}), "delete": ("delete", {"id": first})}
    if command in edits:
        edit(db, *edits[command])
    if command == "sync":
        sync(db)
    if command == "problems":
        return print(*(" ".join(row) for row in db.execute("SELECT message, item FROM problems")), sep="\n")
    for id, record in view(db).items():
        print("[x]" if record["completed"] else "[ ]", id, record["title"])

if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Stop as stop:
        sys.exit(str(stop))
