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


# Ids of rows that are there, so that what is done to a row is tried on one.
def first(path, name, id_name):
    rows = call(host, "GET", path, token=member)[name]
    return rows[0][id_name] if rows else None


def asked(question):
    """Has the chat answer, and gives the conversation and the answer's message."""
    headers = {"Host": f"{host}:{root.port}", "Content-Type": "application/json", "Authorization": f"Bearer {tokens['VISITOR']}"}
    request = urllib.request.Request(address + "/v1/chat", data=json.dumps({"message": question}).encode(), headers=headers)
    with urllib.request.urlopen(request) as answer:
        events = [json.loads(line[5:]) for line in answer.read().decode().splitlines() if line.startswith("data:")]
    return events[0]["conversation_id"], events[-1]["message_id"]


conversation, message = asked("Do you fix leaks?")
call(host, "POST", "/v1/leads", {"name": "Vera", "phone": "555 0100"}, tokens["VISITOR"])
call(host, "POST", "/v1/knowledge/import", {"text": "# Vans\n" + "We drive blue vans to every job in town. " * 8}, member)
provider = {"kind": "openai", "name": "Provider", "api_key": "sk-schemathesis-schemathesis"}
rows = {
    "/v1/conversations/{id}": conversation,
    "/v1/conversations/{id}/messages": conversation,
    "/v1/messages/{id}/rating": message,
    "/v1/providers/{id}": call(host, "POST", "/v1/providers", provider, member)["provider_id"],
    "/v1/agents/{id}": first("/v1/agents", "agents", "agent_id"),
    "/v1/knowledge/{id}": first("/v1/knowledge", "entries", "entry_id"),
    "/v1/knowledge/drafts/{id}": first("/v1/knowledge/drafts", "drafts", "draft_id"),
    "/v1/leads/{id}": first("/v1/leads", "leads", "lead_id"),
    "/v1/pipeline/{id}": first("/v1/pipeline", "stages", "stage_id"),
    "/v1/labels/{id}": first("/v1/labels", "labels", "label_id"),
    "/v1/replies/{id}": first("/v1/replies", "replies", "message_template_id"),
    "/v1/follow-ups/{id}": first("/v1/follow-ups", "steps", "step_id"),
    "/v1/notifications/{id}": first("/v1/notifications", "notifications", "notification_id"),
    "/v1/checklist/{id}": first("/v1/checklist", "items", "item_id"),
    "/v1/appointment-types/{id}": first("/v1/appointment-types", "appointment_types", "appointment_type_id"),
    "/v1/services/{id}": first("/v1/services", "services", "service_id"),
    "/v1/payment-methods/{id}": first("/v1/payment-methods", "payment_methods", "method_id"),
    "/v1/terms/{id}": first("/v1/terms", "terms", "term_id"),
    "/v1/contexts/{id}": first("/v1/contexts", "contexts", "context_id"),
    "/v1/pages/{id}": first("/v1/pages", "pages", "page_id"),
    "/v1/lead-questions/{id}": first("/v1/lead-questions", "questions", "question_id"),
    "/v1/quick-replies/{id}": first("/v1/quick-replies", "quick_replies", "reply_id"),
}
with open(os.path.join(here, "schemathesis.toml"), encoding="utf-8") as file:
    config = file.read()
tokens |= {f"ROW_{at}": row for at, row in enumerate(rows.values()) if row}
for at, (path, row) in enumerate(rows.items()):
    if row:
        # What removes it would take it from the others.
        names = json.dumps([f"{method} {path}" for method in ("GET", "PATCH", "PUT")])
        config += f'\n[[operations]]\ninclude-name = {names}\nparameters = {{ "path.id" = "${{ROW_{at}}}" }}\n'
with open("schemathesis.toml", "w", encoding="utf-8") as file:
    file.write(config)
with open("openapi.json", "w", encoding="utf-8") as file:
    json.dump(call(root.hostname, "GET", "/openapi.json"), file)

failed = 0
# The operator's token is nobody's here.
for name, tags in [(root.hostname, ["Platform"]), (host, ["Anyone", "Visitors", "Members", "Programs"])]:
    command = [os.path.join(os.path.dirname(sys.executable), "schemathesis")]
    command += ["--config-file", "schemathesis.toml", "run", "openapi.json", "--url", address]
    command += ["--header", f"Host: {name}:{root.port}"]
    for tag in tags:
        command += ["--include-tag", tag]
    failed |= subprocess.run(command + sys.argv[1:], env=os.environ | tokens, check=False).returncode
sys.exit(1 if failed else 0)
