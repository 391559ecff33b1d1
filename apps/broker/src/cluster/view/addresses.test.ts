import { describe, expect, it } from 'vitest'
import { advertisedAddress, defaultGateway } from './addresses.ts'

const dial = { listener: 'PLAINTEXT', localAddress: '::ffff:172.18.0.2', localPort: 9093, remoteAddress: '172.18.0.7' }

describe('the advertised address', () => {
  it('is what the client dialled', () => {
    expect(advertisedAddress({ advertised: new Map(), gateway: undefined }, dial, 9092)).toEqual({
      host: '172.18.0.2',
      port: 9092
    })
  })

  it('is what was configured for the listener', () => {
    const advertised = new Map([['PLAINTEXT', { name: 'PLAINTEXT', host: 'kafka.example', port: 19092 }]])
    expect(advertisedAddress({ advertised, gateway: undefined }, dial, 9092)).toEqual({
      host: 'kafka.example',
      port: 19092
    })
  })

  it('is the gateway host for clients behind the default gateway only', () => {
    const gateway = { address: '172.18.0.1', host: 'localhost' }
    const behind = { ...dial, remoteAddress: '::ffff:172.18.0.1' }
    expect(advertisedAddress({ advertised: new Map(), gateway }, behind, 9092).host).toBe('localhost')
    expect(advertisedAddress({ advertised: new Map(), gateway }, dial, 9092).host).toBe('172.18.0.2')
  })

  it('finds the default gateway in the kernel route table', () => {
    const table = 'Iface\tDestination\tGateway\tFlags\neth0\t00000000\t010012AC\t0003\neth0\t000012AC\t00000000\t0001\n'
    expect(defaultGateway(table)).toBe('172.18.0.1')
    expect(defaultGateway('')).toBeUndefined()
  })
})
