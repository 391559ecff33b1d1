/** A broker keeps its registration alive and asks to be unfenced or shut down (KIP-631). */
import { api, array, bool, int16, int32, int64, uuid } from '../schema.ts'

export const brokerHeartbeat = api({
  key: 63,
  name: 'BrokerHeartbeat',
  versions: '0-2',
  flexible: '0+',
  request: {
    brokerId: int32('0+'),
    brokerEpoch: int64('0+').default(-1n),
    currentMetadataOffset: int64('0+'),
    wantFence: bool('0+'),
    wantShutDown: bool('0+'),
    offlineLogDirs: array('1+', uuid).tagged(0),
    cordonedLogDirs: array('2+', uuid).nullable().tagged(1).default(null)
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    isCaughtUp: bool('0+').default(false),
    isFenced: bool('0+').default(true),
    shouldShutDown: bool('0+')
  }
})
