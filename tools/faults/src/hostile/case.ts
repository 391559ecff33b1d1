/**
 * One case of the malformed-input catalogue: bytes to send on a fresh connection, and what the broker may do about them within a
 * second. Whatever the case, the broker must live, stay within its memory, and serve others as before; hostile.ts checks that.
 */

export interface HostileCase {
  readonly name: string
  readonly bytes: Buffer | readonly Buffer[]
  /** `close`: the connection ends without an answer; a number: this error code at `errorAt` of the answer; `answer`: any answer. */
  readonly allowed: readonly (number | 'close' | 'answer')[]
  /** Where the error code stands in the frame's content (after the size); needed when `allowed` has numbers. */
  readonly errorAt?: (content: Buffer) => number
  /** Apache Kafka does otherwise, for this reason; the case is not judged there. */
  readonly notKafka?: string
}

/** Correlation id, then responses: [topic: [partition, error]]: Produce 3-8, one topic, one partition. */
export const produceError = (content: Buffer): number => {
  const topicLength = content.readInt16BE(8)
  return content.readInt16BE(8 + 2 + topicLength + 4 + 4)
}

/** Correlation id, throttle time, top-level error of Fetch 7 and later. */
export const fetchError = (content: Buffer): number => {
  const top = content.readInt16BE(8)
  if (top !== 0) return top
  const topicLength = content.readInt16BE(18)
  return content.readInt16BE(18 + 2 + topicLength + 4 + 4)
}

/** Correlation id, throttle time, [topic: [partition, error]]: ListOffsets 2-5. */
export const listOffsetsError = (content: Buffer): number => {
  const topicLength = content.readInt16BE(12)
  return content.readInt16BE(12 + 2 + topicLength + 4 + 4)
}

/** Correlation id, throttle time, [name, error]: CreateTopics 2-4. */
export const createTopicsError = (content: Buffer): number => content.readInt16BE(12 + 2 + content.readInt16BE(12))

/** Correlation id, error: ApiVersions 0. */
export const apiVersionsError = (content: Buffer): number => content.readInt16BE(4)

/** Correlation id, throttle time, error: InitProducerId and FindCoordinator 1-2. */
export const thirdFieldError = (content: Buffer): number => content.readInt16BE(8)
