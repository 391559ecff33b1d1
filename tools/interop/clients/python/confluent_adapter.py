"""confluent-kafka (librdkafka) as an adapter of the interop suite; see corpus.py for the formats.

write BOOTSTRAP TOPIC CORPUS CODEC=PARTITION,...  |  read BOOTSTRAP TOPIC,...  |  admin BOOTSTRAP TOPIC
"""
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

import corpus


def write(bootstrap, topic, path, plan):
    def delivered(error, _message):
        if error is not None:
            sys.exit(str(error))

    for codec, partition in corpus.steps(plan):
        producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "compression.type": codec,
                "enable.idempotence": True,
                "linger.ms": 20,
                "message.max.bytes": 4 << 20,
                "message.timeout.ms": 30000,
            }
        )
        for r in corpus.load(path):
            producer.produce(
                topic, r["value"], r["key"], partition, on_delivery=delivered, timestamp=r["timestamp"], headers=r["headers"]
            )
        if producer.flush(30) != 0:
            sys.exit("not everything was delivered")


def read(bootstrap, topics):
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "interop", "enable.auto.commit": False, "fetch.wait.max.ms": 200}
    )
    left = 0
    assigned = []
    for topic in topics.split(","):
        for partition in consumer.list_topics(topic, 20).topics[topic].partitions:
            _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), 20)
            left += end
            assigned.append(TopicPartition(topic, partition, OFFSET_BEGINNING))
    consumer.assign(assigned)
    deadline = time.time() + 60
    while left > 0:
        message = consumer.poll(1)
        if time.time() > deadline:
            sys.exit(f"{left} records did not come")
        if message is None:
            continue
        if message.error():
            sys.exit(str(message.error()))
        left -= 1
        corpus.show(
            message.topic(),
            message.partition(),
            message.offset(),
            message.timestamp()[1],
            message.key(),
            message.value(),
            message.headers(),
        )
    consumer.close()


def admin(bootstrap, topic):
    """Creates, lists, describes, asks offsets of and deletes a topic; any surprise ends with a message."""
    client = AdminClient({"bootstrap.servers": bootstrap})
    for future in client.create_topics([NewTopic(topic, 3, 1, config={"retention.ms": "3600000"})], request_timeout=20).values():
        future.result()
    cluster = client.describe_cluster(request_timeout=20).result()
    if not cluster.nodes or cluster.cluster_id is None:
        sys.exit("describe_cluster names no nodes")
    producer = Producer({"bootstrap.servers": bootstrap})
    for i in range(5):
        producer.produce(topic, b"x", partition=1)
    if producer.flush(20) != 0:
        sys.exit("not everything was delivered")
    asked = {TopicPartition(topic, p): spec for p, spec in ((0, OffsetSpec.latest()), (1, OffsetSpec.latest()), (2, OffsetSpec.earliest()))}
    got = {tp.partition: future.result().offset for tp, future in client.list_offsets(asked, request_timeout=20).items()}
    if got != {0: 0, 1: 5, 2: 0}:
        sys.exit(f"list_offsets says {got}")
    for future in client.create_topics([NewTopic(topic, 1, 1)], request_timeout=20).values():
        error = future.exception()
        if error is None or error.args[0].name() != "TOPIC_ALREADY_EXISTS":
            sys.exit(f"creating it again gives {error}")
    for future in client.delete_topics([topic], request_timeout=20).values():
        future.result()
    deadline = time.time() + 10
    while topic in client.list_topics(timeout=20).topics:
        if time.time() > deadline:
            sys.exit("the deleted topic is still listed")
        time.sleep(0.1)


corpus.main({"write": write, "read": read, "admin": admin})
