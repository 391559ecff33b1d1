/**
 * What a shard's process should be started with, and why. Defaults of `startShards`; a caller that sets its own may build on
 * them.
 */

/**
 * Flags for node.
 *
 * - A semi-space of 8 MiB from the start: with 32 MiB two shards held 60 MB more, and neither throughput nor the ack times at
 *   10,000 records/s were better.
 * - No warning that `node:ffi` is experimental: it is used on purpose, with fallbacks.
 */
export function recommendedShardExecArgv(): string[] {
  return ['--min-semi-space-size=8', '--max-semi-space-size=8', '--disable-warning=ExperimentalWarning']
}

/** glibc's threshold above which it copies with `rep movsb`; set out of reach. */
const REP_MOVSB_TUNABLE = 'glibc.cpu.x86_rep_movsb_threshold=0x40000000'

/**
 * Variables for the environment, to be merged over `environment`.
 *
 * - `GLIBC_TUNABLES` keeps glibc from `rep movsb` on x86-64: where source and target lie a few bytes apart modulo 4,096, it
 *   falls from 40 to 2 GB/s on Zen 3 (128 KiB: 3 us to 60 us), and heap Buffers against page-aligned maps lie so every time.
 *   glibc reads it at exec only, hence here. Other tunables of `environment` are kept; one for the same threshold wins.
 */
export function recommendedShardEnvironment(
  environment: Readonly<Record<string, string | undefined>>
): Record<string, string> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return {}
  const tunables = environment['GLIBC_TUNABLES'] ?? ''
  if (tunables.includes('x86_rep_movsb_threshold')) return {}
  return { GLIBC_TUNABLES: tunables === '' ? REP_MOVSB_TUNABLE : `${tunables}:${REP_MOVSB_TUNABLE}` }
}
