/** A broker presents itself to the controller (KIP-631). */
import { api, array, bool, int16, int32, int64, string, uint16, uuid } from '../schema.ts'

export const brokerRegistration = api({
  key: 62,
  name: 'BrokerRegistration',
  versions: '0-4',
  flexible: '0+',
  request: {
    brokerId: int32('0+'),
    clusterId: string('0+'),
    incarnationId: uuid('0+'),
    listeners: array('0+', {
      name: string('0+'),
      host: string('0+'),
      port: uint16('0+'),
      securityProtocol: int16('0+')
    }),
    features: array('0+', { name: string('0+'), minSupportedVersion: int16('0+'), maxSupportedVersion: int16('0+') }),
    rack: string('0+').nullable(),
    isMigratingZkBroker: bool('1+').default(false),
    logDirs: array('2+', uuid).ignorable(),
    previousBrokerEpoch: int64('3+').default(-1n).ignorable()
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    brokerEpoch: int64('0+').default(-1n)
  }
})
