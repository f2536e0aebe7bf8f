"""Container and Kubernetes files: valid, and in agreement with the engine, the unit and each other."""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import yaml

import lab

DEPLOY = lab.ROOT / "deploy"
STOP_SECONDS = 35  # a drain of 30 s and 5 s to end (ingest/daemon.cc)
DANGEROUS = {"mount", "umount2", "bpf", "ptrace", "kexec_load", "init_module", "unshare", "setns", "reboot", "swapon", "pivot_root",
             "perf_event_open", "process_vm_writev", "userfaultfd", "chroot", "open_by_handle_at"}


def seconds(text):
    return int(text.rstrip("s"))


class Compose(unittest.TestCase):
    def setUp(self):
        self.compose = yaml.safe_load((DEPLOY / "container/compose.yaml").read_text())

    def test_every_file_that_it_mounts_is_in_the_tree(self):
        volumes = [volume.split(":")[0] for service in self.compose["services"].values() for volume in service["volumes"]]
        for source in volumes:
            if source.startswith("."):
                self.assertTrue((DEPLOY / "container" / source).exists(), source)
            else:
                self.assertIn(source, self.compose["volumes"])
        self.assertTrue((DEPLOY / "container" / self.compose["services"]["sluice"]["build"]["context"] / "deploy/container/Dockerfile").exists())

    def test_the_engine_gets_its_profile_and_time_to_drain(self):
        engine = self.compose["services"]["sluice"]
        self.assertIn("seccomp=./seccomp.json", engine["security_opt"])
        self.assertGreater(seconds(engine["stop_grace_period"]), STOP_SECONDS)

    def test_grafana_finds_prometheus_and_the_dashboards_where_provisioning_says(self):
        grafana = self.compose["services"]["grafana"]
        mounts = {volume.split(":")[1] for volume in grafana["volumes"]}
        source = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"][0]
        self.assertIn(source["url"].strip("${}"), grafana["environment"])
        path = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/sluice.yaml").read_text())["providers"][0]["options"]["path"]
        self.assertIn(path, mounts)
        home = pathlib.PurePath(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
        self.assertEqual(str(home.parent), path)
        self.assertTrue((DEPLOY / "grafana/dashboards" / home.name).exists())

    def test_the_client_takes_it(self):
        for client in (["docker", "compose"], ["docker-compose"]):
            if shutil.which(client[0]) and subprocess.run([*client, "version"], capture_output=True).returncode == 0:
                done = subprocess.run([*client, "config", "-q"], cwd=DEPLOY / "container", capture_output=True, text=True)
                return self.assertEqual(done.returncode, 0, done.stderr)
        self.skipTest("no client of docker compose is installed")

    def test_prometheus_takes_its_configuration(self):
        with tempfile.TemporaryDirectory() as folder:
            text = (DEPLOY / "container/prometheus.yml").read_text()
            path = pathlib.Path(folder) / "prometheus.yml"
            path.write_text(text.replace("/etc/prometheus/", f"{DEPLOY}/prometheus/"))
            done = subprocess.run(["promtool", "check", "config", path], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Profile(unittest.TestCase):
    def test_it_allows_io_uring_and_nothing_that_leads_out(self):
        profile = json.loads((DEPLOY / "container/seccomp.json").read_text())
        allowed = {name for rule in profile["syscalls"] for name in rule["names"]}
        self.assertEqual({rule["action"] for rule in profile["syscalls"]}, {"SCMP_ACT_ALLOW"})
        self.assertEqual(profile["defaultAction"], "SCMP_ACT_ERRNO")
        self.assertLess({"io_uring_setup", "io_uring_enter", "io_uring_register"}, allowed)
        self.assertEqual(allowed & DANGEROUS, set())


class Image(unittest.TestCase):
    def setUp(self):
        self.lines = (DEPLOY / "container/Dockerfile").read_text()

    def test_what_it_copies_is_in_the_tree(self):
        for source in re.findall(r"(?m)^COPY (?!--from)(\S+) \S+$", self.lines):
            self.assertTrue((lab.ROOT / source).exists(), source)

    def test_the_packages_that_it_cuts_from_the_list_hold_all_that_a_build_needs(self):
        text = (DEPLOY / "packages.txt").read_text()
        self.assertIn("# --- tests and demo", text, "the Dockerfile cuts there")
        kept = text.split("# --- tests and demo")[0]
        for package in ("clang-19", "cmake", "ninja-build", "dpkg-dev", "librocksdb-dev", "libgtest-dev", "libbenchmark-dev"):
            self.assertRegex(kept, rf"(?m)^{package}$")
        self.assertNotIn("postfix", kept)

    def test_its_configuration_is_valid(self):
        check_configuration(self, DEPLOY / "container/sluice.toml")


class Kubernetes(unittest.TestCase):
    def setUp(self):
        if not shutil.which("kubectl"):
            documents = [file for file in (DEPLOY / "kubernetes").glob("*.yaml") if file.name != "kustomization.yaml"]
            text = "\n---\n".join(file.read_text() for file in documents)
        else:
            done = subprocess.run(["kubectl", "kustomize", DEPLOY / "kubernetes"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            text = done.stdout
        self.objects = {one["kind"]: one for one in yaml.safe_load_all(text)}
        self.pod = self.objects["StatefulSet"]["spec"]["template"]["spec"]
        self.engine = self.pod["containers"][0]

    def test_a_pod_has_the_time_that_a_drain_takes(self):
        before = int(self.engine["lifecycle"]["preStop"]["exec"]["command"][1])
        self.assertGreater(self.pod["terminationGracePeriodSeconds"], before + STOP_SECONDS)

    def test_mail_lives_on_a_claim_that_outlives_the_pod(self):
        claims = {claim["metadata"]["name"] for claim in self.objects["StatefulSet"]["spec"]["volumeClaimTemplates"]}
        mounts = {mount["name"]: mount["mountPath"] for mount in self.engine["volumeMounts"]}
        self.assertEqual({mounts[name] for name in claims}, {"/var/lib/sluice"})
        volumes = claims | {volume["name"] for volume in self.pod["volumes"]}
        self.assertEqual(set(mounts) - volumes, set())
        self.assertEqual(self.objects["StatefulSet"]["spec"]["persistentVolumeClaimRetentionPolicy"],
                         {"whenDeleted": "Retain", "whenScaled": "Retain"})

    def test_it_runs_confined_under_the_profile_that_io_uring_needs(self):
        self.assertEqual(self.pod["securityContext"]["seccompProfile"], {"type": "Localhost", "localhostProfile": "sluice.json"})
        self.assertIs(self.pod["securityContext"]["runAsNonRoot"], True)
        self.assertIn(f"--uid {self.pod['securityContext']['runAsUser']} ", (DEPLOY / "container/Dockerfile").read_text())
        self.assertEqual(self.engine["securityContext"]["capabilities"], {"drop": ["ALL"]})
        self.assertIs(self.engine["securityContext"]["readOnlyRootFilesystem"], True)

    def test_probes_ask_what_the_engine_answers(self):
        for probe, path in {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}.items():
            self.assertEqual(self.engine[probe]["exec"]["command"][-1], f"http://sluice{path}")

    def test_services_select_the_pods(self):
        labels = self.objects["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
        self.assertEqual(self.objects["Service"]["spec"]["selector"], labels)
        self.assertEqual(self.objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"], labels)
        ports = {port["name"] for port in self.engine["ports"]}
        self.assertEqual({port["targetPort"] for port in self.objects["Service"]["spec"]["ports"]} - ports, set())

    def test_its_configuration_is_valid(self):
        check_configuration(self, DEPLOY / "kubernetes/sluice.toml")


def check_configuration(test, path):
    """What `sluice check` says of the file itself; what it finds of this machine is not the point."""
    done = subprocess.run([lab.ENGINE, "check", "--json", "--config", path], capture_output=True, text=True, timeout=60)
    test.assertNotIn(f"{path.name}:", done.stderr)
    test.assertIn(done.returncode, (0, 1), done.stderr)
