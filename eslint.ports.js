/**
 * The rule about ports. Production code gets its clock, random source, timers, disk, network and environment from outside; so a
 * whole cluster can run in one thread from one seed, and a test never waits for real time. The files listed here are the only
 * ones that touch the world: composition roots and the real implementations of ports.
 */

/**
 * Files that may touch the world, by package. Tests and benches may, too.
 * @type {string[]}
 */
export const portImplementations = []

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
