"""Reading a corpus and printing records, for the Python adapters of the interop suite.

A corpus and what `read` prints are JSON objects, one a line; bytes are base64, null stays null.
"""
import base64
import json
import sys


def from_text(text):
    return None if text is None else base64.b64decode(text)


def to_text(data):
    if data is None:
        return None
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def load(path):
    """Records as dicts: key, value (bytes or None), headers [(str, bytes or None)], timestamp (ms)."""
    with open(path) as lines:
        for line in lines:
            record = json.loads(line)
            headers = [(from_text(name).decode(), from_text(value)) for name, value in record["headers"]]
            yield {
                "key": from_text(record["key"]),
                "value": from_text(record["value"]),
                "headers": headers,
                "timestamp": record["timestamp"],
            }


def steps(plan):
    """'gzip=1,none=0' as (codec, partition) pairs."""
    for step in plan.split(","):
        codec, partition = step.split("=")
        yield codec, int(partition)


def show(topic, partition, offset, timestamp, key, value, headers):
    line = {
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "timestamp": timestamp,
        "key": to_text(key),
        "value": to_text(value),
        "headers": [[to_text(name), to_text(data)] for name, data in headers or []],
    }
    sys.stdout.write(json.dumps(line) + "\n")


def main(verbs):
    if len(sys.argv) < 3 or sys.argv[1] not in verbs:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(verbs)} BOOTSTRAP ...")
    verbs[sys.argv[1]](*sys.argv[2:])
