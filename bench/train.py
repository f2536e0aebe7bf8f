"""What "deploy/build.sh tuned" optimises the program by: mails of every way in, to receivers of several kinds. Nothing is measured."""

import subprocess

import lab
from runs import trial

COUNT = 10_000
REFUSALS = ("--rcpt", "3% 550 5.1.1 no such user, 5% 451 4.7.1 greylisted", "--accept-on-try", "2")


def signing_key(folder):
    key = folder.folder / "dkim.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key], check=True,
                   capture_output=True)
    key.chmod(0o600)
    return str(key)


def single_mails(one):
    one.load(*trial.TO_SINK, "--job-per-recipient", "--recipients", COUNT, "--size", trial.MESSAGE_BYTES)
    one.wait_for_all(COUNT)


def a_job(one):
    one.load(*trial.TO_SINK, "--recipients", COUNT, "--size", trial.MESSAGE_BYTES, "--vars", trial.VARIABLES)
    one.wait_for_all(COUNT)


def requests(one):
    one.load(*trial.TO_SINK, "--recipients", COUNT // 4, "--size", trial.MESSAGE_BYTES, "--clients", 50, way="json")
    one.wait_for_all(COUNT // 4)


def submissions(one):
    # sluice-load's SMTP comes over TCP: `load` names the socket of the API.
    subprocess.run([lab.LOAD, "smtp", "--server", f"127.0.0.1:{one.submission}", *trial.TO_SINK, "--recipients", str(COUNT // 4),
                    "--size", str(trial.MESSAGE_BYTES), "--clients", "20", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    one.wait_for_all(COUNT // 4)


def main():
    with lab.Lab("train") as folder:
        signed = {"dkim": [{"domain": "load.test", "selector": "s1", "key": signing_key(folder)}]}
        for name, send, words, settings in (
                ("windows", single_mails, (), {}), ("groups", single_mails, ("--no-chunking",), {}), ("job", a_job, ("--no-chunking",), {}),
                ("requests", requests, (), {}), ("submissions", submissions, (), {}), ("signed", a_job, (), signed),
                ("refusals", a_job, REFUSALS, {"retry": {"schedule": ["1s"]}})):
            with trial.sink(folder, name, *words) as sink, trial.engine(folder, name, sink.port, **settings) as one:
                send(one)


if __name__ == "__main__":
    main()
