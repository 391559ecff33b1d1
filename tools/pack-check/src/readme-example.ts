/** The example in a package's README: its first block of TypeScript. */

const block = /^```(?:ts|typescript)\n([\s\S]*?)^```$/m

/** Source of the first `ts` block, or undefined when there is none. */
export function readmeExample(readme: string): string | undefined {
  return block.exec(readme)?.[1]
}

/** Packages that `source` imports by name, each once: `kafkajs`, `@scope/name`. */
export function importedPackages(source: string): string[] {
  const names = [...source.matchAll(/from '((?:@[\w.-]+\/)?[\w.-]+)(?:\/[^']*)?'/g)].map(match => match[1] ?? '')
  return [...new Set(names.filter(name => !name.startsWith('.')))]
}
