"""ingest/openapi.yaml against the server: the same paths, the same parameters, answers of the form that it gives."""

import json
import re

import jsonschema
import yaml

from harness import ROOT, WholeRun, mail, wait_until

DOCUMENT = yaml.safe_load((ROOT / "ingest/openapi.yaml").read_text())
RESOLVER = jsonschema.RefResolver("", DOCUMENT)
# A value that is right for each parameter that is no enumeration.
EXAMPLES = {"after": "0", "since": "1h", "limit": "5", "wait": "1ms", "type": "bounced", "to": "oa@one.test",
            "campaign": "openapi", "tenant": "default", "recipients_min": "1", "before": None, "domain": "one.test",
            "provider": "default", "count": "1", "name": "node.", "day": "2026-11-22", "delivery": None, "all": "true",
            "dry_run": "true", "address": "off@one.test", "host": "mx.one.test", "site": "mx.one.test", "source": "default",
            "content": "true", "for": "10ms"}


def schema_of(node):
    while "$ref" in node:
        node = RESOLVER.resolve(node["$ref"])[1]
    return node


def operations():
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


class OpenApi(WholeRun):
    daemon_settings = {"retry": {"schedule": ["1h"], "expires": "2h"}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        job = mail(["oa@one.test", "r550-oa@one.test", "t2-oa@two.test"], campaign="openapi")
        cls.job = cls.daemon.submit(job)
        wait_until(lambda: cls.daemon.job(cls.job)["open"] == 1 and cls.daemon.job(cls.job)["deferrals"] == 1, 30, "the mail")

        cls.daemon.request("POST", "/v1/suppressions", '{"address":"off@one.test","reason":"a test"}',
                           {"Content-Type": "application/json"})

    def target(self, path):
        return path.replace("{job}", self.job).replace("{delivery}", f"{self.job}-0").replace(
            "{site}", "mx.one.test").replace("{file}", "console.css")

    def needed(self, path, operation, without=None):
        """The parameters without which there is no answer, or none that ends."""
        names = [one["name"] for one in map(schema_of, operation.get("parameters", []))
                 if one["in"] == "query" and one.get("required")] + ["count"] * (path == "/v1/live") + ["for"] * (path == "/v1/trace")
        return "?" + "".join(f"{name}={EXAMPLES[name]}&" for name in names if name != without)

    def assert_valid(self, value, schema, what):
        errors = list(jsonschema.Draft202012Validator(schema, resolver=RESOLVER).iter_errors(value))
        self.assertEqual([f"{list(error.absolute_path)}: {error.message[:300]}" for error in errors], [], what)

    def bodies(self, body, content_type):
        """The JSON values of an answer: one, or one a line, or one a server-sent event."""
        text = body.decode()
        if content_type == "text/event-stream":
            return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
        return [json.loads(line) for line in text.splitlines() if line] if "ndjson" in content_type else [json.loads(text)]

    def test_the_server_has_these_paths_and_no_others(self):
        status, _, body = self.daemon.request("GET", "/v1/no-such-path")
        self.assertEqual(status, 404)
        self.assert_valid(json.loads(body), DOCUMENT["components"]["schemas"]["Errors"], "a refusal")
        known = json.loads(body)["errors"][0]["hint"].removeprefix("known are: ").split(", ")
        described = {f"{method} {re.sub('{[^}]*}', '*', path)}" for method, path, _ in operations()}
        self.assertEqual(sorted(described), sorted(known))

    def test_every_answer_has_the_form_that_is_described(self):
        checked = 0
        for method, path, operation in operations():
            if method != "GET":
                continue
            status, fields, body = self.daemon.request("GET", self.target(path) + self.needed(path, operation))
            with self.subTest(path=path):
                self.assertEqual(status, 200, body[:300])
                content = operation["responses"]["200"].get("content", {})
                kind = fields["Content-Type"].split(";")[0]
                if content:
                    self.assertIn(kind, content)
                schema = content.get(kind, {}).get("schema")
                if schema is None:
                    continue
                values = self.bodies(body, kind)
                if path not in ("/v1/tls-reports", "/v1/trace"):
                    self.assertTrue(values)
                for value in values:
                    self.assert_valid(value, schema, path)
                    checked += 1
        self.assertGreater(checked, 15)

    def test_every_parameter_that_is_described_is_taken_and_no_other(self):
        for method, path, operation in operations():
            parameters = [schema_of(one) for one in operation.get("parameters", [])]
            if method != "GET" or not path.startswith("/v1/"):
                continue
            for one in parameters:
                value = one["schema"].get("enum", [EXAMPLES.get(one["name"])])[-1]
                if one["in"] != "query" or value is None:
                    continue
                with self.subTest(path=path, parameter=one["name"]):
                    query = f"{self.needed(path, operation, one['name'])}{one['name']}={value}"
                    status, _, body = self.daemon.request("GET", self.target(path) + query)
                    self.assertEqual(status, 200, body[:300])
            if parameters and any(one["in"] == "query" for one in parameters):
                with self.subTest(path=path, parameter="an unknown one"):
                    query = self.needed(path, operation) + "no_such_parameter=1"
                    status, _, body = self.daemon.request("GET", self.target(path) + query)
                    self.assertEqual((status, json.loads(body)["errors"][0]["code"]), (422, "parameter.unknown"))

    def test_orders_are_taken_and_answered_as_described(self):
        schemas = DOCUMENT["components"]["schemas"]
        def order(method, path, body, wanted, schema):
            status, _, answer = self.daemon.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
            self.assertEqual(status, wanted, answer)
            self.assert_valid(json.loads(answer), schemas[schema], path)
            return json.loads(answer)
        reach = {"campaign": "nothing-has-it", "reason": "a test", "for": "1h"}
        self.assert_valid(reach, schemas["Order"], "our own order")
        order("POST", "/v1/suspensions?dry_run=true", reach, 200, "DryRun")
        made = order("POST", "/v1/suspensions?count=true", reach, 201, "Suspension")
        for one in self.daemon.get("/v1/suspensions")["suspensions"]:
            self.assert_valid(one, schemas["Suspension"], "the list")
        order("DELETE", f"/v1/suspensions/{made['suspension']}", None, 200, "Suspension")
        order("POST", "/v1/cancellations", {"campaign": "nothing-has-it"}, 202, "Cancellation")
        order("POST", f"/v1/jobs/{self.job}/cancel?dry_run=true", {}, 200, "DryRun")

    def test_suppressions_are_taken_and_answered_as_described(self):
        schemas = DOCUMENT["components"]["schemas"]
        entry = {"address": "off2@one.test", "tenant": "t", "reason": "asked", "source": "form", "time": "2026-01-02T03:04:05.678Z"}
        self.assert_valid(entry, schemas["NewSuppression"], "our own entry")
        for kind, lines in (("application/json", [entry]), ("application/x-ndjson", [entry, {"address": "none"}])):
            status, _, body = self.daemon.request("POST", "/v1/suppressions", "\n".join(map(json.dumps, lines)),
                                                  {"Content-Type": kind})
            self.assertEqual(status, 200, body)
            self.assert_valid(json.loads(body), schemas["Suppressed"], kind)
        status, _, body = self.daemon.request("POST", "/v1/suppressions", '{"address":5}', {"Content-Type": "application/json"})
        self.assertEqual(status, 422)
        self.assert_valid(json.loads(body), schemas["Errors"], "a refusal")
        self.assertEqual(self.daemon.request("DELETE", "/v1/suppressions?tenant=t&address=off2@one.test")[0], 200)

    def test_a_reload_is_answered_as_described(self):
        schema = DOCUMENT["paths"]["/v1/reload"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        self.daemon.config["retry"]["expires"] = "3h"
        self.daemon.write_config()
        for query in ("?dry_run=true", ""):
            status, _, body = self.daemon.request("POST", "/v1/reload" + query)
            self.assertEqual(status, 200, body)
            self.assert_valid(json.loads(body), schema, query)
            self.assertEqual(len(json.loads(body)["changes"]), 1)
        self.daemon.config["retry"]["expires"] = "never"
        self.daemon.write_config()
        status, _, body = self.daemon.request("POST", "/v1/reload")
        self.assertEqual(status, 422)
        self.assert_valid(json.loads(body), DOCUMENT["components"]["schemas"]["Errors"], "a refusal")

    def test_a_job_that_is_described_is_taken_and_its_answer_described(self):
        job = mail("oa2@one.test", campaign="openapi")
        self.assert_valid(job, DOCUMENT["components"]["schemas"]["Job"], "our own job")
        described = DOCUMENT["paths"]["/v1/messages"]["post"]["responses"]
        for query, wanted in (("", 202), ("?dry_run=true", 200)):
            status, answer = self.daemon.post(job, query)
            self.assertEqual(status, wanted)
            self.assert_valid(answer, described[str(wanted)]["content"]["application/json"]["schema"], query)
        unknown = self.daemon.request("POST", "/v1/messages", json.dumps({**job, "surprise": 1}), {"Content-Type": "application/json"})
        self.assert_valid(json.loads(unknown[2]), DOCUMENT["components"]["schemas"]["Errors"], "a refusal")
        # Members that the description has and the server has not would be refused as unknown.
        content = set(DOCUMENT["components"]["schemas"]["Job"]["properties"]["content"]["properties"])
        for name in content | set(DOCUMENT["components"]["schemas"]["Job"]["properties"]):
            place = {"content": {name: 5}} if name in content else {name: []}
            _, _, body = self.daemon.request("POST", "/v1/messages", json.dumps(place), {"Content-Type": "application/json"})
            codes = [error["code"] for error in json.loads(body)["errors"]]
            self.assertNotIn("field.unknown", codes, f"{name}: {body[:300]}")
