/**
 * An ordinary Kafka client against one address: writes to every partition of a topic and reads all of it back.
 *
 *   node round-trip.ts write host:9092 TOPIC    creates the topic, writes, reads back
 *   node round-trip.ts read host:9092 TOPIC     only reads back
 *
 * Four partitions, so that every shard owns some: the client must reach each shard at the address that it is told. Exits with 0
 * when every record came back, in order. Runs on the host and, unchanged, inside another container.
 */
import { Admin, Consumer, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka'

const partitionCount = 4
const recordsPerPartition = 250
const deadlineMs = 30_000

const [mode, bootstrap = '', topic = ''] = process.argv.slice(2)
const options = { clientId: 'compose-check', bootstrapBrokers: [bootstrap], retries: 3, timeout: 10_000 }

const valueAt = (partition: number, index: number) => `${topic}/${partition}/${index}`.padEnd(200, '.')

async function write(): Promise<void> {
  const admin = new Admin(options)
  await admin.createTopics({ topics: [topic], partitions: partitionCount, replicas: 1 })
  await admin.close()
  const producer = new Producer({ ...options, serializers: stringSerializers })
  for (let index = 0; index < recordsPerPartition; index += 50) {
    const messages = Array.from({ length: partitionCount * 50 }, (_, i) => {
      const partition = i % partitionCount
      return { topic, partition, key: '', value: valueAt(partition, index + Math.floor(i / partitionCount)) }
    })
    await producer.send({ messages, acks: -1 })
  }
  await producer.close()
}

/** Addresses that the client was told, after everything came back. */
async function readBack(): Promise<string[]> {
  const consumer = new Consumer({ ...options, groupId: 'compose-check', deserializers: stringDeserializers })
  const metadata = await consumer.metadata({ topics: [topic] })
  const found = metadata.topics.get(topic)
  if (found === undefined) throw new Error(`no topic ${topic}`)
  const started = performance.now()
  for (const [partition, { leader }] of found.partitions.entries()) {
    const values: string[] = []
    while (values.length < recordsPerPartition) {
      if (performance.now() - started > deadlineMs)
        throw new Error(`partition ${partition}: ${values.length} records in time`)
      const wanted = { partition, currentLeaderEpoch: -1, fetchOffset: BigInt(values.length), lastFetchedEpoch: -1 }
      const answer = await consumer.fetch({
        node: leader,
        topics: [{ topicId: found.id, partitions: [{ ...wanted, partitionMaxBytes: 1 << 20 }] }],
        maxWaitTime: 1000
      })
      for (const batch of answer.responses[0]?.partitions[0]?.records ?? []) {
        for (const { value } of batch.records) values.push(String(value))
      }
    }
    const wrong = values.findIndex((value, index) => value !== valueAt(partition, index))
    if (wrong !== -1) throw new Error(`partition ${partition}, record ${wrong}: ${values[wrong]}`)
  }
  await consumer.close()
  return [...metadata.brokers.values()].map(({ host, port }) => `${host}:${port}`)
}

if (mode === 'write') await write()
const told = await readBack()
process.stdout.write(`${partitionCount * recordsPerPartition} records through ${told.join(' and ')}\n`)
