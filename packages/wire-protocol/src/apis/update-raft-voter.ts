/** A voter tells where it listens and which versions it supports (KIP-853). */
import { api, array, int16, int32, string, struct, uint16, uuid } from '../schema.ts'

export const updateRaftVoter = api({
  key: 82,
  name: 'UpdateRaftVoter',
  versions: '0',
  flexible: '0+',
  request: {
    clusterId: string('0+').nullable(),
    currentLeaderEpoch: int32('0+'),
    voterId: int32('0+'),
    voterDirectoryId: uuid('0+'),
    listeners: array('0+', { name: string('0+'), host: string('0+'), port: uint16('0+') }),
    kRaftVersionFeature: struct('0+', { minSupportedVersion: int16('0+'), maxSupportedVersion: int16('0+') })
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    currentLeader: struct('0+', {
      leaderId: int32('0+').default(-1),
      leaderEpoch: int32('0+').default(-1),
      host: string('0+'),
      port: int32('0+')
    }).tagged(0)
  }
})
