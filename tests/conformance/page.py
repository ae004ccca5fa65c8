#!/usr/bin/env python3
"""The page of the conformance suite without anything of mod_session_rs: sessions in memory, requests of one session in turn.

    python3 tests/conformance/page.py 8000 &
    MSRS_CONFORMANCE_URL=http://127.0.0.1:8000/page cargo test --test conformance

tests/c/mod_conform.c describes the words; those that only httpd can offer (internal, sub, bucket, file) are not here.
"""
import collections, http.server, os, re, secrets, sys, threading, time, urllib.parse

SESSIONS = {}  # id: (session, until when the id is good; None: as long as the session)
GRACE, MAX_SIZE, TEN_YEARS = 10, 1 << 20, 315360000
TYPES = {
    "null": lambda text: "", "bool": int, "int": int, "float": float, "list": bytes.decode, "map": bytes.decode,
    "bytes": lambda text: bytes.fromhex(text.decode()), "text": lambda text: bytes.fromhex(text.decode()).decode(),
}


class Refused(Exception):
    pass


class Session:
    """`id` is None while nothing is stored, and again when it has ended: nobody revives it."""

    def __init__(self):
        self.id, self.values, self.user, self.timeout, self.used = None, {}, None, 1800, time.time()
        self.mutex, self.queue = threading.Lock(), collections.deque()

    def take_turn(self):
        turn = threading.Event()
        with self.mutex:
            self.queue.append(turn)
            if len(self.queue) == 1:
                turn.set()
        turn.wait()

    def end_turn(self):
        with self.mutex:
            self.queue.popleft()
            if self.queue:
                self.queue[0].set()


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.session, self.turn, self.is_new, self.invalidated = None, None, True, False
        self.looks = self.peeks = self.sent = False
        self.same_id = self.cookie = self.location = None  # a cookie of "" is to be cleared
        self.view, self.changes, self.lines, self.status = {}, [], b"", 200
        for word in filter(None, urllib.parse.urlsplit(self.path).query.split("&")):
            name, equals, arg = word.partition("=")
            try:
                answer = self.run(name, bool(equals), *(urllib.parse.unquote_to_bytes(part) for part in arg.partition(":")[::2]))
            except Refused as why:
                answer = f"!{why}"
            if answer is not None:
                self.lines += f"{name}: {answer}\n".encode()
        self.end(last=True)

    do_POST = do_HEAD = do_GET

    def log_message(self, *_):
        pass

    def run(self, word, has_arg, key, value):
        match word:
            case "sid":
                return None
            case "sleep":
                return time.sleep(int(key) / 1000)
            case "pid":
                return os.getpid()
            case "status":
                self.status = int(key)
                return None
            case "redirect":
                self.status, self.location = 302, key.decode()
                return None
            case "body" | "pieces":
                self.lines += b"x" * int(key) + b"\n"
                return self.end(last=False) if word == "pieces" else None
            case "flush":
                return self.end(last=False)
            case "look" | "peek":
                self.looks, self.peeks = True, word == "peek"
        self.open()
        key = key.decode(errors="surrogateescape")
        match word:
            case "look" | "peek":
                return int(self.session is not None)
            case "new":
                return int(self.is_new)
            case "invalidated":
                return int(self.invalidated)
            case "user":
                return self.session and self.session.user or "-"
            case "get":
                return self.view[key][1] if key in self.view else "-"
            case "all":
                return " ".join(f"{key}={self.view[key][1]}" for key in sorted(self.view))
            case "size":
                return len(self.view[key][1])
            case "show":
                return self.show(*self.view.get(key, ("-", "")))
            case "save":
                return self.commit(asked=True)
            case "unlock":
                self.commit()
                return self.end_turn()
        if self.looks:
            raise Refused("off" if self.session else "none")
        match word:
            case "set":
                return self.put(key, "text", value.decode())
            case "fill":
                return self.put(key, "text", "x" * int(value))
            case _ if word in TYPES:
                try:
                    return self.put(key, word, TYPES[word](value))
                except UnicodeDecodeError:
                    raise Refused("bad-type")
            case "add" | "incr":
                return self.add(key, int(value or 1), word == "add")
            case "unset":
                return self.change(lambda values: values.pop(key, None))
            case "clear":
                return self.change(dict.clear)
            case "revert":
                self.changes, self.view = [], dict(self.session.values)
            case "regenerate":
                self.move(time.time() + GRACE)
            case "login":
                self.move(0)
                self.session.user = key
            case "destroy":
                self.forget()
                self.view, self.is_new, self.same_id = {}, True, None
            case "delete":
                self.same_id, self.session.values = self.forget(), dict(self.view)  # back with a save or a further change
            case "timeout" if not has_arg:
                return self.session.timeout
            case "timeout":
                if not re.fullmatch(r"\d{1,9}", key) or not 1 <= int(key) <= TEN_YEARS:
                    raise Refused("bad-type")
                self.session.timeout = int(key)
            case "lock":
                pass
            case _:
                return "unknown"
        return "ok"

    # --- values: what is changed is seen at once by this request, and applied to the session by a commit ---

    def show(self, type, value):
        if type in ("text", "bytes"):
            value = (value.encode() if type == "text" else value).hex()
        return type if type in ("null", "-") else f"{type} {value}"

    def change(self, change):
        self.changes.append(change)
        change(self.view)
        return "ok"

    def put(self, key, type, value):
        if not 1 <= len(key.encode(errors="surrogateescape")) <= 128 or re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff]", key):
            raise Refused("bad-key")
        if any(other != key and other.lower() == key.lower() for other in self.view):
            raise Refused("bad-key")
        if len(str(value)) + sum(len(str(kept[1])) for other, kept in self.view.items() if other != key) > MAX_SIZE:
            raise Refused("too-large")
        return self.change(lambda values: values.update({key: (type, value)}))

    def add(self, key, delta, is_exact):
        type, number = self.view.get(key, ("int", 0))
        if type != "int":
            raise Refused("bad-type")
        sum = lambda values: values.get(key, ("int", 0))[1] + delta if is_exact else number + delta
        self.change(lambda values: values.update({key: ("int", sum(values))}))
        return number + delta

    # --- the session ---

    def open(self):
        if self.session:
            return
        cookies = "; ".join(self.headers.get_all("Cookie") or [])
        for id in re.findall(r"(?:^|;)\s*sid=([\w-]{32})\s*(?=;|$)", cookies, re.ASCII):
            self.invalidated = True
            session, ends = SESSIONS.get(id, (None, None))
            while session and not self.looks and self.turn is not session:
                self.end_turn()
                session.take_turn()
                self.turn = session
                session, ends = SESSIONS.get(id)  # another may have taken its place meanwhile
            now = time.time()
            if session and session.id and now < session.used + session.timeout and (ends is None or now < ends):
                self.session, self.is_new, self.invalidated = session, False, False
                self.view = dict(session.values)
                session.used = session.used if self.peeks else now
                self.cookie = session.id if session.id != id else None
                return
            self.end_turn()
        self.session = None if self.looks else Session()

    def commit(self, asked=False):
        session, changes = self.session, self.changes
        if session and (changes or asked and self.same_id):
            with session.mutex:
                self.changes, values = [], dict(session.values)
                if not session.id and not self.is_new and not self.same_id:
                    raise Refused("gone")
                if not session.id and self.is_new and self.sent:
                    raise Refused("late")
                for change in changes:
                    change(values)
                if values and not session.id:
                    session.id = self.same_id or secrets.token_urlsafe(24)
                    self.cookie = None if self.same_id else session.id
                    SESSIONS[session.id] = (session, None)
                session.values = values
            if not values and session.id:
                self.forget()
        return "ok"

    def forget(self):
        """The storage goes; what is stored from now on is another session."""
        id, self.session.id = self.session.id, None
        self.session, self.changes = Session(), []
        self.cookie = "" if id and not self.is_new else None
        return id

    def move(self, old_id_ends):
        old = self.session.id
        if self.sent:
            raise Refused("late")
        if old:
            self.session.id = self.cookie = secrets.token_urlsafe(24)
            SESSIONS[self.session.id], SESSIONS[old] = (self.session, None), (self.session, old_id_ends)

    def end_turn(self):
        if self.turn:
            self.turn.end_turn()
            self.turn = None
        return "ok"

    # --- the response ---

    def end(self, last):
        try:
            self.commit()
        except Refused:
            pass  # who wants to know asks by `save`
        self.end_turn()
        if not self.sent:
            self.sent = True
            self.send_head(last)
        if self.command != "HEAD" and self.status != 304:
            self.wfile.write(self.lines)
        self.lines = b""

    def send_head(self, last):
        self.lines = self.lines if self.status == 200 else b"error\n"
        fields = {"Connection": "close", "Location": self.location}
        if self.cookie is not None:
            fields["Set-Cookie"] = f"sid={self.cookie}; Path=/{'' if self.cookie else '; Max-Age=0'}; HttpOnly; SameSite=Lax"
        if self.session:
            fields.update({"Cache-Control": "no-store", "Vary": "Cookie"})
        if last and self.status != 304:
            fields["Content-Length"] = len(self.lines)
        self.send_response(self.status)
        for name, value in fields.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8000), Page).serve_forever()
