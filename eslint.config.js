/**
 * What the linter enforces, and nothing about looks (Prettier does that):
 * - the boundaries between packages, as one table;
 * - the rule about ports: the world (time, chance, files, sockets, the environment) is touched only where it is implemented;
 * - promises that nobody awaits, switches that forget a case, and the other mistakes that types reveal.
 *
 * No comment can switch a rule off: an exception is an entry here, with its reason.
 */
import { createProjectGraphAsync } from '@nx/devkit'
import nx from '@nx/eslint-plugin'
import { defineConfig } from 'eslint/config'
import typescript from 'typescript-eslint'
import { portImplementations, worldRules } from './eslint.ports.js'

// The boundary rule reads Nx's cached graph of packages and passes everything when there is none: make it now, from the files.
process.env['NX_DAEMON'] = 'false'
await createProjectGraphAsync({ exitOnError: true })

/** Who may know whom. A leaf knows nobody of ours; everything meets in the application. */
const boundaries = [
  { sourceTag: 'layer:leaf', onlyDependOnLibsWithTags: [] },
  { sourceTag: 'layer:gateway', onlyDependOnLibsWithTags: ['protocol'] },
  { sourceTag: 'layer:app', onlyDependOnLibsWithTags: ['layer:leaf', 'layer:gateway'] },
  { sourceTag: 'layer:tool', onlyDependOnLibsWithTags: ['layer:leaf', 'layer:gateway', 'layer:app', 'layer:tool'] }
]

/** Nx's types know an older plugin format. @type {any} */
const nxPlugin = nx

const tests = ['**/*.test.ts', '**/*.bench.ts']

export default defineConfig(
  { ignores: ['**/dist/', '**/node_modules/', '.nx/', '**/tmp/'] },
  { linterOptions: { noInlineConfig: true, reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.ts'],
    extends: [typescript.configs.base],
    plugins: { '@nx': nxPlugin },
    languageOptions: {
      parserOptions: {
        project: 'tsconfig.json',
        disallowAutomaticSingleRunInference: true,
        tsconfigRootDir: import.meta.dirname
      }
    },
    rules: {
      '@nx/enforce-module-boundaries': ['error', { depConstraints: boundaries, allow: [] }],

      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/ban-ts-comment': 'error',
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-for-in-array': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true }
      ],
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/prefer-promise-reject-errors': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],

      eqeqeq: ['error', 'always'],
      'no-constant-condition': ['error', { checkLoops: 'allExceptWhileTrue' }],
      'no-debugger': 'error',
      'no-fallthrough': 'error',
      'no-self-assign': 'error',
      'no-unsafe-finally': 'error',
      'no-var': 'error',
      'no-warning-comments': ['error', { terms: ['todo', 'fixme', 'xxx', 'hack'] }],
      'prefer-const': ['error', { ignoreReadBeforeAssign: true }]
    }
  },
  {
    files: ['packages/*/src/**/*.ts', 'apps/*/src/**/*.ts'],
    ignores: [...tests, ...portImplementations],
    rules: worldRules
  }
)
