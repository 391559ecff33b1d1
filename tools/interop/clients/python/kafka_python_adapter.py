"""kafka-python as an adapter of the interop suite; see corpus.py for the formats.

write BOOTSTRAP TOPIC CORPUS CODEC=PARTITION,...  |  read BOOTSTRAP TOPIC,...
"""
import sys
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

import corpus


def write(bootstrap, topic, path, plan):
    for codec, partition in corpus.steps(plan):
        producer = KafkaProducer(
            bootstrap_servers=bootstrap,
            compression_type=None if codec == "none" else codec,
            acks="all",
            enable_idempotence=False,
            linger_ms=20,
            max_request_size=4 << 20,
        )
        sent = [
            producer.send(topic, r["value"], r["key"], r["headers"], partition, r["timestamp"]) for r in corpus.load(path)
        ]
        producer.flush(30)
        for future in sent:
            future.get(30)
        producer.close()


def read(bootstrap, topics):
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=200,
    )
    partitions = [TopicPartition(topic, p) for topic in topics.split(",") for p in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    left = sum(consumer.end_offsets(partitions).values())
    deadline = time.time() + 60
    while left > 0:
        if time.time() > deadline:
            sys.exit(f"{left} records did not come")
        for records in consumer.poll(timeout_ms=500).values():
            for r in records:
                left -= 1
                corpus.show(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, r.headers)
    consumer.close()


corpus.main({"write": write, "read": read})
