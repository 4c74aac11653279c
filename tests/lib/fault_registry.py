"""A registry that misbehaves on demand, for tests. Loopback only; ends when its standard input does, or a minute after its test must have ended.

    python3 fault_registry.py PORTFILE LOGFILE [CERT KEY] <pipe

How it behaves depends on the first component of the repository: plain, drop, short, stall, norange, badrange, extra,
corrupt, busy, always-busy, broken, elsewhere, loop, clear, headers, denied, token, basic, pages, endless, otherhost,
echo, hostile ... Every repository has one blob, of SIZE bytes, and one manifest ("latest") that names it; but those that are written
to (copied, flaky, forgetful, token/n) begin with the manifest alone. The tags of "idle" come when every other
connection is closed, and what was asked over them is in the log. While PORTFILE.slow exists all blobs come slowly.
Uploads are taken, in pieces or whole, and break as "flaky" says. Each request is one line of the log:
METHOD PATH host=HOST auth=SCHEME range=RANGE status=STATUS.
"""
import base64, hashlib, http.server, json, os, socket, ssl, struct, sys, threading, time, urllib.parse

SIZE = 3_000_000
SLOW_PIECE = 16384
BLOB = bytes(i * 7 % 251 for i in range(1000)) * (SIZE // 1000)
BLOB_DIGEST = "sha256:" + hashlib.sha256(BLOB).hexdigest()
CONFIG = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
CONFIG_DIGEST = "sha256:" + hashlib.sha256(CONFIG).hexdigest()
OCI = "application/vnd.oci.image."
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
    "config": {"mediaType": OCI + "config.v1+json", "digest": CONFIG_DIGEST, "size": len(CONFIG)},
    "layers": [{"mediaType": OCI + "layer.v1.tar", "digest": BLOB_DIGEST, "size": SIZE}]}).encode()
MANIFEST_DIGEST = "sha256:" + hashlib.sha256(MANIFEST).hexdigest()

lock = threading.Lock()
connections = 0   # that are open
counts = {}       # how often something was asked for
uploads = {}      # id -> bytearray
blobs = {}        # (repository, digest) -> bytes
manifests = {}    # (repository, reference) -> (type, bytes)
log = open(sys.argv[2], "a", buffering=1)


def count(key):
    with lock:
        counts[key] = counts.get(key, 0) + 1
        return counts[key]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", **headers):
        self.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Transfer_Encoding" not in headers and "Content_Length" not in headers and status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status, code, message, **headers):
        self.answer(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode(),
                    Content_Type="application/json", **headers)

    def cut(self):
        """Ends the connection as a crash would: with a reset."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def handle_any(self):
        self.status = 0
        url = urllib.parse.urlsplit(self.path)
        self.query = urllib.parse.parse_qs(url.query)
        try:
            self.route(url.path)
        except (ConnectionError, ValueError, OSError):
            self.close_connection = True
        finally:
            auth = self.headers.get("Authorization", "-").split(" ")[0]
            log.write("%s %s host=%s auth=%s range=%s status=%d\n" % (
                self.command, self.path, self.headers.get("Host"), auth, self.headers.get("Range", "-"), self.status))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def route(self, path):
        if path == "/token":
            return self.token()
        if path == "/storage":
            return self.answer(200, BLOB)
        if path in ("/v2/", "/v2"):
            return self.answer(200, b"{}") if self.allowed("") else None
        parts = path.split("/")
        if path == "/v2/_catalog":
            return self.answer(200, json.dumps({"repositories": ["b", "a"]}).encode())
        if len(parts) < 6:
            return self.error(404, "NOT_FOUND", "no such thing")
        kind = parts[-2] if parts[-3] != "blobs" else parts[-3] + "/" + parts[-2]
        if "blobs" in parts and "uploads" in parts:
            i = parts.index("blobs")
            self.repository, self.mode = "/".join(parts[2:i]), parts[2]
            return self.upload(parts[-1]) if self.allowed("push") else None
        self.repository, self.mode = "/".join(parts[2:-2]), parts[2]
        if not self.allowed("pull"):
            return None
        if self.mode == "denied":
            return self.error(403, "DENIED", "not\x1b[31m for\nyou \u202ereversed")
        if parts[-2] == "tags":
            return self.tags()
        if parts[-2] == "manifests":
            return self.manifest(parts[-1])
        if parts[-2] == "blobs":
            return self.blob(parts[-1])
        return self.error(404, "NOT_FOUND", "no such thing")

    def do_CONNECT(self):
        log.write("CONNECT %s\n" % self.path)
        self.answer(403, b"")

    # ---- login ----

    def allowed(self, action):
        mode = getattr(self, "mode", "")
        auth = self.headers.get("Authorization", "")
        if mode == "basic":
            if auth == "Basic " + base64.b64encode(b"user:secret").decode():
                return True
            self.error(401, "UNAUTHORIZED", "who are you", WWW_Authenticate='Basic realm="here"')
            return False
        if mode in ("token", "tokenaway") or (mode == "" and os.path.exists(sys.argv[1] + ".login")):
            scope = "repository:%s:%s" % (self.repository, "pull,push" if action == "push" else "pull") if mode else ""
            if auth.startswith("Bearer good"):
                return True
            realm = "%s://%s/token" % (scheme, self.headers.get("Host"))
            self.error(401, "UNAUTHORIZED", "authentication required",
                       WWW_Authenticate='Bearer realm="%s",service="fake, registry",scope="%s"' % (realm, scope))
            return False
        if mode == "unsafe":
            self.error(401, "UNAUTHORIZED", "no", WWW_Authenticate='Bearer realm="http://169.254.0.1/token",service="x"')
            return False
        return True

    def token(self):
        if self.command == "POST":
            form = urllib.parse.parse_qs(self.body().decode())
            if form.get("refresh_token") == ["refresh-me"] and form.get("grant_type") == ["refresh_token"]:
                return self.answer(200, json.dumps({"access_token": "good-by-refresh", "expires_in": 300}).encode())
            return self.error(401, "UNAUTHORIZED", "a bad refresh token")
        auth = self.headers.get("Authorization")
        if auth not in (None, "Basic " + base64.b64encode(b"user:secret").decode()):
            return self.error(401, "UNAUTHORIZED", "incorrect username or password")
        scopes = self.query.get("scope", [])
        if self.query.get("service") != ["fake, registry"]:
            return self.error(400, "BAD", "no service")
        if auth is None and any("private" in s or "push" in s for s in scopes):
            return self.answer(200, json.dumps({"token": "bad"}).encode())
        out = {"token": "good-" + str(count("token"))}
        if self.query.get("offline_token"):
            out["refresh_token"] = "refresh-me"
        if any("splitting" in s for s in scopes):
            out["token"] = "good\r\nX-Evil: 1"
        return self.answer(200, json.dumps(out).encode())

    # ---- reading ----

    def manifest(self, reference):
        key = (self.repository, reference)
        if self.command == "PUT":
            body = self.body()
            digest = "sha256:" + hashlib.sha256(body).hexdigest()
            manifests[key] = manifests[(self.repository, digest)] = (self.headers.get("Content-Type"), body)
            return self.answer(201, Docker_Content_Digest=digest)
        if self.command == "DELETE":
            return self.error(405, "UNSUPPORTED", "The operation is unsupported.")
        if self.mode == "busy" and count("busy" + self.repository) <= 2:
            return self.error(429, "TOOMANYREQUESTS", "slow down", Retry_After="0")
        if self.mode == "always-busy":
            return self.error(429, "TOOMANYREQUESTS", "slow down", Retry_After="0")
        if self.mode == "broken" and count("broken" + self.repository) <= 2:
            return self.answer(500, b"<html>internal")
        if self.mode == "headers":
            self.send_response(200)
            for i in range(2000):
                self.send_header("X-Filler-%d" % i, "x" * 60)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if self.mode == "huge":
            self.answer(200, b"", Content_Length=str(1 << 40), Content_Type=OCI + "manifest.v1+json")
            for _ in range(200):
                self.wfile.write(b" " * 100000)
            return self.cut()
        if self.mode == "lying":
            return self.answer(200, MANIFEST + b" ", Content_Type=OCI + "manifest.v1+json", Docker_Content_Digest=MANIFEST_DIGEST)
        if self.mode == "xml":
            return self.answer(200, b"<manifest/>", Content_Type="text/html")
        if self.mode == "splash":
            self.send_response(200)
            return self.cut()
        if key in manifests:
            kind, body = manifests[key]
        elif reference in ("latest", MANIFEST_DIGEST):
            kind, body = OCI + "manifest.v1+json", MANIFEST
        else:
            return self.error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        return self.answer(200, body, Content_Type=kind, Docker_Content_Digest="sha256:" + hashlib.sha256(body).hexdigest())

    def blob(self, digest):
        mode, data = self.mode, blobs.get((self.repository, digest))
        if mode not in ("empty", "copied", "flaky", "forgetful") and self.repository != "token/n":
            data = {BLOB_DIGEST: BLOB, CONFIG_DIGEST: CONFIG}.get(digest, data)
        if data is None:
            return self.error(404, "BLOB_UNKNOWN", "blob unknown to registry")
        if self.command == "HEAD":
            return self.answer(200, Content_Length=str(len(data)))
        if mode in ("elsewhere", "tokenaway"):
            other = "localhost" if self.headers["Host"].startswith("127.") else "127.0.0.1"
            return self.answer(307, Location="%s://%s:%d/storage" % (scheme, other, port))
        if mode == "loop":
            return self.answer(302, Location=self.path)
        if mode == "clear":
            return self.answer(302, Location="http://169.254.0.1/" + digest)
        if mode == "file":
            return self.answer(302, Location="file:///etc/passwd")
        n = count("blob" + self.repository)
        first, status, headers = 0, 200, {}
        if self.headers.get("Range") and mode not in ("norange",):
            first = int(self.headers["Range"].split("=")[1].split("-")[0])
            status = 206
            said = first + 1 if mode == "badrange" else first
            headers["Content_Range"] = "bytes %d-%d/%d" % (said, len(data) - 1, len(data))
        rest = data[first:]
        if mode == "extra":
            self.answer(200, b"", Transfer_Encoding="chunked")
            for piece in (data, b"more"):
                self.wfile.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
            return self.wfile.write(b"0\r\n\r\n")
        if mode == "shrunk":
            return self.answer(200, data[:-1])
        if mode == "corrupt":
            rest = rest[:1000] + bytes([rest[1000] ^ 1]) + rest[1001:]
        if mode == "short" and n <= 2:
            self.answer(status, b"", Transfer_Encoding="chunked", **headers)
            piece = rest[:len(rest) // 2]
            self.wfile.write(b"%x\r\n" % len(piece) + piece + b"\r\n0\r\n\r\n")
            return None
        if (mode in ("drop", "norange", "badrange") and n <= 3) or mode == "always-drop":
            self.answer(status, b"", Content_Length=str(len(rest)), **headers)
            self.wfile.write(rest[:len(rest) // 4] if mode != "always-drop" else b"")
            return self.cut()
        if mode == "stall" and n <= 1:
            self.answer(status, b"", Content_Length=str(len(rest)), **headers)
            self.wfile.write(rest[:len(rest) // 4])
            self.wfile.flush()
            time.sleep(3)
            return self.cut()
        if mode == "slow":
            self.answer(status, b"", Content_Length=str(len(rest)), **headers)
            for i in range(0, len(rest), 1000):
                self.wfile.write(rest[i:i + 1000])
                time.sleep(0.05)
            return None
        if os.path.exists(sys.argv[1] + ".slow"):
            self.answer(status, b"", Content_Length=str(len(rest)), **headers)
            for i in range(0, len(rest), SLOW_PIECE):
                self.wfile.write(rest[i:i + SLOW_PIECE])
                time.sleep(0.002)
            return None
        return self.answer(status, rest, **headers)

    def tags(self):
        while self.mode == "idle" and connections > 1:
            time.sleep(0.002)
        page = int(self.query.get("last", ["0"])[0])
        link = {}
        if self.mode == "pages" and page < 3:
            link = {"Link": '</v2/%s/tags/list?n=2&last=%d>; rel="next"' % (self.repository, page + 1)}
        if self.mode == "endless":
            link = {"Link": '<%s>; rel="next"' % self.path}
        if self.mode == "otherhost":
            link = {"Link": '<http://169.254.0.1/v2/x/tags/list>; rel="next"'}
        if self.mode == "manytags":
            names = [" %d" % i for i in range(3)]
        else:
            names = ["t%d" % (9 - page), "t%d-b" % (9 - page)]
        return self.answer(200, json.dumps({"name": self.repository, "tags": names}).encode(), **link)

    # ---- writing ----

    def upload(self, name):
        flaky = self.mode == "flaky"
        if self.command == "POST" and not name:
            self.body()
            if self.query.get("mount") and self.query["from"][0].startswith("token/private"):
                blobs[(self.repository, self.query["mount"][0])] = {BLOB_DIGEST: BLOB}.get(self.query["mount"][0], CONFIG)
                return self.answer(201, Location="/v2/x/blobs/y")
            name = "u%d" % count("upload")
            uploads[name] = bytearray()
            return self.answer(202, Location="/v2/%s/blobs/uploads/%s?state=1" % (self.repository, name), Range="0-0")
        if name not in uploads:
            self.body()
            return self.error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        data = uploads[name]
        where = {"Location": "/v2/%s/blobs/uploads/%s?state=2" % (self.repository, name)}
        if self.command == "GET":
            return self.answer(204, **where, Range="0-%d" % max(len(data) - 1, 0))
        if self.command == "DELETE":
            del uploads[name]
            return self.answer(204)
        if self.command == "PATCH" and flaky and count("patch") == 2:
            data += self.rfile.read(int(self.headers["Content-Length"]) // 2)      # some of it arrives
            return self.cut()
        if self.command == "PATCH" and self.mode == "forgetful" and count("forget") == 2:
            self.body()
            del uploads[name]
            return self.answer(500, b"")
        if self.command == "PUT" and flaky and data and count("put") == 1:
            self.body()
            return self.answer(503, b"")
        said = self.headers.get("Content-Range")
        if self.command == "PATCH" and said and int(said.split("-")[0]) != len(data):
            self.body()
            return self.answer(416, b"", **where, Range="0-%d" % max(len(data) - 1, 0))
        data += self.body()
        if self.command == "PATCH":
            return self.answer(202, **where, Range="0-%d" % (len(data) - 1))
        digest = self.query["digest"][0]
        if "sha256:" + hashlib.sha256(data).hexdigest() != digest:
            return self.error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        blobs[(self.repository, digest)] = bytes(data)
        return self.answer(201, Location="/v2/%s/blobs/%s" % (self.repository, digest), Docker_Content_Digest=digest)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    # Counted by the thread that accepts, so that a connection made earlier is counted before a later one asks.
    def process_request(self, request, client_address):
        global connections
        with lock:
            connections += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        global connections
        super().shutdown_request(request)
        with lock:
            connections -= 1

    def handle_error(self, request, client_address):
        pass

    def finish_request(self, request, client_address):
        if scheme == "http":
            request.settimeout(20)
            if request.recv(1, socket.MSG_PEEK) == b"\x16":     # a TLS handshake: none of ours
                request.close()
                return
        super().finish_request(request, client_address)


scheme = "https" if len(sys.argv) > 4 else "http"
server = Server(("127.0.0.1", 0), Handler)
port = server.server_address[1]
if scheme == "https":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
    server.socket = context.wrap_socket(server.socket, server_side=True)
with open(sys.argv[1] + ".new", "w") as f:
    f.write("%d %s %s %d\n" % (port, BLOB_DIGEST, MANIFEST_DIGEST, SIZE))
os.rename(sys.argv[1] + ".new", sys.argv[1])
threading.Thread(target=server.serve_forever, daemon=True).start()
# Its tests may take as long as they are given: on a loaded machine, with sanitizers, that was more than two minutes.
threading.Timer(int(os.environ.get("TEST_TIMEOUT", 300)) + 60, lambda: os._exit(0)).start()
sys.stdin.read()
os._exit(0)
