"""The HTTPS hosts of MTA-STS policies.

    policy_host.py --journal FILE PLACES

PLACES is a JSON file: {"ip", "port", "hosts": {name: {"cert", "key", "status", "type", "body", "location", "silent"}}}.
The journal has one line a request: the host's name.
"""

import argparse
import json
import socketserver
import ssl
import threading
from http.server import BaseHTTPRequestHandler


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        name = self.headers["Host"].split(":")[0]
        host = self.server.hosts[name]
        self.server.journal.write(f"{name} {self.path}\n")
        if host.get("silent"):
            return threading.Event().wait()
        body = host.get("body", "").encode()
        self.send_response(host.get("status", 200))
        self.send_header("Content-Type", host.get("type", "text/plain"))
        self.send_header("Content-Length", str(len(body)))
        if "location" in host:
            self.send_header("Location", host["location"])
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def get_request(self):
        plain, address = super().get_request()
        return self.context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, *_):  # a client that does not like the certificate
        pass


def context_for(hosts):
    contexts = {}
    for name, host in hosts.items():
        contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        contexts[name].load_cert_chain(host["cert"], host["key"])
    front = next(iter(contexts.values()))

    def choose(connection, name, _):
        if name in contexts:
            connection.context = contexts[name]
    front.sni_callback = choose
    return front


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--journal", required=True)
    parser.add_argument("places")
    arguments = parser.parse_args()
    with open(arguments.places, encoding="ascii") as file:
        places = json.load(file)
    with Server((places["ip"], places["port"]), Handler) as server:
        server.hosts = places["hosts"]
        server.context = context_for(places["hosts"])
        server.journal = open(arguments.journal, "a", buffering=1, encoding="ascii")
        server.serve_forever()
