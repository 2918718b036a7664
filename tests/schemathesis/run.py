"""Runs Schemathesis against a running stand (ROOT_URL): every operation of /openapi.json, as an owner, a visitor and a
program of a company of its own. It ends with what Schemathesis ends with."""

import json
import os
import secrets
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

here = os.path.dirname(os.path.abspath(__file__))
root = urllib.parse.urlparse(os.environ["ROOT_URL"])
address = f"http://127.0.0.1:{root.port}"


def call(host, method, path, body=None, token=None):
    """JSON of a request under a host name that this machine's resolver need not know."""
    headers = {"Host": f"{host}:{root.port}", "Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address + path, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        sys.exit(f"{method} {path}: {error.code} {error.read().decode()}")


slug = "s" + secrets.token_hex(8)
host, email, password = f"{slug}.{root.hostname}", f"owner@{slug}.example", secrets.token_urlsafe(16)
call(root.hostname, "POST", "/v1/signup", {
    "company": "Schemathesis", "slug": slug, "industry": "plumbing", "name": "Olive Owner", "email": email, "password": password,
})
member = call(host, "POST", "/v1/login", {"email": email, "password": password})["access_token"]
tokens = {
    "MEMBER": member,
    "VISITOR": call(host, "POST", "/v1/visitor")["token"],
    "PROGRAM": call(host, "POST", "/v1/api-keys", {"name": "Program", "scopes": ["chat", "models"]}, member)["key"],
}
with open("openapi.json", "w", encoding="utf-8") as file:
    json.dump(call(root.hostname, "GET", "/openapi.json"), file)

failed = 0
# The operator's token is nobody's here.
for name, tags in [(root.hostname, ["Platform"]), (host, ["Anyone", "Visitors", "Members", "Programs"])]:
    command = [os.path.join(os.path.dirname(sys.executable), "schemathesis")]
    command += ["--config-file", os.path.join(here, "schemathesis.toml"), "run", "openapi.json", "--url", address]
    command += ["--header", f"Host: {name}:{root.port}"]
    for tag in tags:
        command += ["--include-tag", tag]
    failed |= subprocess.run(command + sys.argv[1:], env=os.environ | tokens, check=False).returncode
sys.exit(1 if failed else 0)
