import { defineConfig } from 'vitest/config'

const conditions = ['@milena/source', 'module', 'node', 'development|production']

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ['packages/*/src/**/*.test.ts', 'apps/*/src/**/*.test.ts', 'tools/*/src/**/*.test.ts'],
    pool: 'forks',
    // Bounds for what hangs, not for what is slow: a machine may have other things to do for a while.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000, interval: 10 } },
    execArgv: ['--conditions=@milena/source', '--disable-warning=ExperimentalWarning']
  }
})
