/**
 * The rule about ports. Production code gets its clock, random source, timers, disk, network and environment from outside; so a
 * whole cluster can run in one thread from one seed, and a test never waits for real time. The files listed here are the only
 * ones that touch the world: composition roots and the real implementations of ports.
 */

/**
 * Files that may touch the world, by package. Tests and benches may, too.
 * @type {string[]}
 */
export const portImplementations = [
  // The broker's composition roots and its clock and data folder.
  'apps/broker/src/admin/admin-listener.ts',
  'apps/broker/src/node/data-folder.ts',
  'apps/broker/src/main.ts',
  'apps/broker/src/shard/shard-main.ts',
  'apps/broker/src/node/embedded-node.ts',
  'apps/broker/src/free-ports.ts',
  'apps/broker/src/node/supervise.ts',
  'apps/broker/src/system-clock.ts',

  // Sockets of Kafka clients.
  'packages/gateway/src/connections/listener.ts',
  'packages/gateway/src/connections/receive.ts',
  'packages/gateway/src/connections/turn-queue.ts',

  // Processes, their cores, the sockets between them, and Node's own loop behind `Scheduler`.
  'packages/shard-scheduler/src/grpc/grpc-http2.ts',
  'packages/shard-scheduler/src/grpc/grpc-server.ts',
  'packages/shard-scheduler/src/mesh/grpc-transport.ts',
  'packages/shard-scheduler/src/scheduler/real-scheduler.ts',
  'packages/shard-scheduler/src/supervisor.ts',
  'packages/shard-scheduler/src/supervisor/affinity.ts',
  'packages/shard-scheduler/src/supervisor/shard-child.ts',
  'packages/shard-scheduler/src/supervisor/socket-folder.ts',

  // Real disks, and LMDB's folder.
  'packages/storage-engine/src/disks/posix-names.ts',
  'packages/storage-engine/src/disks/ring/native.ts',
  'packages/storage-engine/src/disks/ring/ring.ts',
  'packages/storage-engine/src/disks/thread-disk.ts',
  'packages/storage-engine/src/state/lmdb-state.ts',

  // Test doubles: they stand for the world, or run a real piece of it for a test.
  'packages/*/src/testing/**/*.ts',
  'packages/shard-scheduler/src/scheduler/manual-scheduler.ts',
  'packages/shard-scheduler/src/sample-shard.ts',
  'packages/storage-engine/src/disks/ring/simulated-kernel.ts'
]

const useThePort = 'the host passes it in as a port (see eslint.ports.js for the files that implement ports)'

const worldModules = [
  'child_process',
  'cluster',
  'dgram',
  'dns',
  'dns/promises',
  'fs',
  'fs/promises',
  'http',
  'http2',
  'https',
  'net',
  'os',
  'timers',
  'timers/promises',
  'tls',
  'worker_threads'
]

const worldProperties = [
  ['Date', 'now'],
  ['Math', 'random'],
  ['performance', 'now'],
  ['process', 'env'],
  ['process', 'hrtime'],
  ['globalThis', 'setTimeout'],
  ['globalThis', 'setInterval'],
  ['globalThis', 'setImmediate'],
  ['crypto', 'randomUUID'],
  ['crypto', 'getRandomValues']
]

/** @type {import('eslint').Linter.RulesRecord} */
export const worldRules = {
  'no-restricted-globals': [
    'error',
    ...['setTimeout', 'setInterval', 'setImmediate', 'fetch'].map(name => ({ name, message: useThePort }))
  ],
  'no-restricted-properties': [
    'error',
    ...worldProperties.map(([object, property]) => ({ object, property, message: useThePort }))
  ],
  '@typescript-eslint/no-restricted-imports': [
    'error',
    {
      paths: [
        ...worldModules.flatMap(name => [
          { name, message: useThePort, allowTypeImports: true },
          { name: `node:${name}`, message: useThePort, allowTypeImports: true }
        ]),
        ...['node:crypto', 'crypto'].map(name => ({
          name,
          importNames: ['randomBytes', 'randomInt', 'randomUUID', 'randomFillSync', 'randomFill'],
          message: useThePort
        })),
        ...['node:process', 'process'].map(name => ({ name, importNames: ['env', 'hrtime'], message: useThePort })),
        { name: 'node:perf_hooks', importNames: ['performance'], message: useThePort }
      ]
    }
  ],
  'no-restricted-syntax': [
    'error',
    { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: `the time of day: ${useThePort}` }
  ]
}
