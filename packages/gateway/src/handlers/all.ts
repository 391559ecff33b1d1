/** Every API this gateway serves (ApiVersions adds itself). Adding an API is adding a file here and a line below. */
import { type AnyHandler, anyHandler } from '../handler.ts'
import { createTopicsHandler } from './create-topics.ts'
import { deleteTopicsHandler } from './delete-topics.ts'
import { describeClusterHandler } from './describe-cluster.ts'
import { fetchHandler } from './fetch.ts'
import { findCoordinatorHandler } from './find-coordinator.ts'
import { initProducerIdHandler } from './init-producer-id.ts'
import { listOffsetsHandler } from './list-offsets.ts'
import { metadataHandler } from './metadata.ts'
import { produceHandler } from './produce.ts'

export const allHandlers: readonly AnyHandler[] = [
  anyHandler(produceHandler),
  anyHandler(fetchHandler),
  anyHandler(listOffsetsHandler),
  anyHandler(metadataHandler),
  anyHandler(findCoordinatorHandler),
  anyHandler(createTopicsHandler),
  anyHandler(deleteTopicsHandler),
  anyHandler(initProducerIdHandler),
  anyHandler(describeClusterHandler)
]
