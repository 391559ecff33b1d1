import { defineConfig } from 'vitest/config'

const conditions = ['@milena/source', 'module', 'node', 'development|production']

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ['packages/*/src/**/*.test.ts', 'apps/*/src/**/*.test.ts', 'tools/*/src/**/*.test.ts'],
    pool: 'forks',
    testTimeout: 20_000,
    execArgv: ['--conditions=@milena/source', '--disable-warning=ExperimentalWarning']
  }
})
