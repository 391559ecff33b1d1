/** kafkajs-snappy ships no types: it is one codec factory in the shape that KafkaJS wants. */
declare module 'kafkajs-snappy' {
  const codec: () => unknown
  export default codec
}
