/**
 * Network namespaces, one a node, around a bridge: links between nodes can be cut, in one direction too.
 *
 *     clients, 10.213.0.254 ── hub ──┬── namespace of node 0, 10.213.0.1
 *                             bridge ├── namespace of node 1, 10.213.0.2
 *                                    └── ...
 *
 * A cut drops packets where they arrive; sockets notice nothing but silence. Clients keep reaching every node. The bridge has a
 * namespace of its own, out of reach of what this machine's firewall says about forwarding. Needs root, ip and iptables.
 */
import { spawnSync } from 'node:child_process'
import { mustRun } from '@milena/bench'
import { atExit } from '../at-exit.ts'

const SUBNET = '10.213.0'
const PREFIX = 'milenaf'
const HUB = `${PREFIX}hub`

/** Why there are no namespaces here, in words; null when there are. */
export function missingForNetwork(): string | null {
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  for (const program of ['ip', 'iptables'])
    if (spawnSync(program, ['-V']).status !== 0) return `${program} is not installed`
  const probe = `${PREFIX}probe`
  const made = spawnSync('ip', ['netns', 'add', probe], { encoding: 'utf8' })
  if (made.status !== 0) return `no network namespace can be made: ${made.stderr.trim()}`
  const filtered = spawnSync('ip', ['netns', 'exec', probe, 'iptables', '-L', '-n'], { encoding: 'utf8' })
  spawnSync('ip', ['netns', 'del', probe])
  return filtered.status === 0 ? null : `iptables does not work in a namespace: ${filtered.stderr.trim()}`
}

export class NodeNetwork {
  readonly #count: number
  readonly #callOff: () => void

  private constructor(count: number) {
    this.#count = count
    this.#callOff = atExit(() => this.#remove())
  }

  static async open(count: number): Promise<NodeNetwork> {
    const network = new NodeNetwork(count)
    network.#remove() // what a run left that was killed
    await ip('netns', 'add', HUB)
    await ip('-n', HUB, 'link', 'add', 'br0', 'type', 'bridge')
    await ip('-n', HUB, 'link', 'set', 'br0', 'up')
    const toHub = async (inside: string, outside: string): Promise<void> => {
      await ip('link', 'add', inside, 'type', 'veth', 'peer', 'name', outside)
      await ip('link', 'set', outside, 'netns', HUB)
      await ip('-n', HUB, 'link', 'set', outside, 'master', 'br0', 'up')
    }
    await toHub(`${PREFIX}c`, `${PREFIX}d`)
    await ip('addr', 'add', `${SUBNET}.254/24`, 'dev', `${PREFIX}c`)
    await ip('link', 'set', `${PREFIX}c`, 'up')
    for (let node = 0; node < count; node++) {
      const [space, inside] = [namespace(node), `${PREFIX}i${node}`]
      await toHub(inside, `${PREFIX}o${node}`)
      await ip('netns', 'add', space)
      await ip('link', 'set', inside, 'netns', space)
      await ip('-n', space, 'addr', 'add', `${network.address(node)}/24`, 'dev', inside)
      await ip('-n', space, 'link', 'set', inside, 'up')
      await ip('-n', space, 'link', 'set', 'lo', 'up')
    }
    return network
  }

  address(node: number): string {
    return `${SUBNET}.${node + 1}`
  }

  /** Command that runs another one in the node's namespace. */
  under(node: number): readonly string[] {
    return ['ip', 'netns', 'exec', namespace(node)]
  }

  /** From now on `to` receives nothing that `from` sends. */
  async cut(from: number, to: number): Promise<void> {
    await this.#inside(to, 'iptables', '-A', 'INPUT', '-s', this.address(from), '-j', 'DROP')
  }

  /** All links work again. Resolves with the number of packets that the cuts dropped. */
  async heal(): Promise<number> {
    let dropped = 0
    for (let node = 0; node < this.#count; node++) {
      const counters = await this.#inside(node, 'iptables', '-L', 'INPUT', '-v', '-n', '-x')
      for (const [, packets] of counters.matchAll(/^\s*(\d+)\s+\d+\s+DROP\s/gm)) dropped += Number(packets)
      await this.#inside(node, 'iptables', '-F', 'INPUT')
    }
    return dropped
  }

  #inside(node: number, ...command: readonly string[]): Promise<string> {
    const [program = '', ...args] = [...this.under(node), ...command]
    return mustRun(program, args)
  }

  close(): void {
    this.#callOff()
    this.#remove()
  }

  #remove(): void {
    spawnSync('ip', ['link', 'del', `${PREFIX}c`])
    for (let node = 0; node < this.#count; node++) spawnSync('ip', ['netns', 'del', namespace(node)])
    spawnSync('ip', ['netns', 'del', HUB])
  }
}

const namespace = (node: number): string => `${PREFIX}${node}`

const ip = (...args: readonly string[]): Promise<string> => mustRun('ip', args)
