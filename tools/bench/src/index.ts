/**
 * The bench, and the launchers that the other tools share with it.
 *
 * `npm run bench` compares Milena with Apache Kafka on this machine (main.ts). Interop checks and fault rounds import from here
 * what starts a broker and drives it: `startMilena`, `startKafka`, Kafka's command-line tools, the load generator, and meters for
 * the CPU time and memory of a tree of processes.
 */
export * from './kafka-peer.ts'
export * from './milena-peer.ts'
export * from './peer.ts'
export * from './process-usage.ts'
export * from './program.ts'
