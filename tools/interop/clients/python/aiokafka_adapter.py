"""aiokafka as an adapter of the interop suite; see corpus.py for the formats.

write BOOTSTRAP TOPIC CORPUS CODEC=PARTITION,...  |  read BOOTSTRAP TOPIC,...
"""
import asyncio
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

import corpus


async def send_all(bootstrap, topic, path, plan):
    for index, (codec, partition) in enumerate(corpus.steps(plan)):
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            compression_type=None if codec == "none" else codec,
            acks="all",
            enable_idempotence=index % 2 == 0,
            linger_ms=20,
            max_request_size=4 << 20,
        )
        await producer.start()
        try:
            sent = [
                await producer.send(topic, r["value"], r["key"], partition, r["timestamp"], r["headers"])
                for r in corpus.load(path)
            ]
            await asyncio.wait_for(asyncio.gather(*sent), 30)
        finally:
            await producer.stop()


async def print_all(bootstrap, topics):
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=200
    )
    await consumer.start()
    try:
        names = topics.split(",")
        partitions = []
        for topic in names:
            # It learns of a topic only after it was asked for.
            await consumer._client.set_topics(names)
            partitions += [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic)]
        consumer.assign(partitions)
        left = sum((await consumer.end_offsets(partitions)).values())
        deadline = time.time() + 60
        while left > 0:
            if time.time() > deadline:
                sys.exit(f"{left} records did not come")
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for r in records:
                    left -= 1
                    corpus.show(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, r.headers)
    finally:
        await consumer.stop()


def write(*args):
    asyncio.run(send_all(*args))


def read(*args):
    asyncio.run(print_all(*args))


corpus.main({"write": write, "read": read})
