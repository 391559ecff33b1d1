/**
 * Kafka's error table: every code that Apache Kafka 4.3 knows, -1 to 133, one line each.
 *
 * Inside Milena an error is its *name* (`ErrorName`, a literal union); the int16 code exists only on the wire. `retriable`
 * says what Kafka's own clients do with it: send the same request again, perhaps after a metadata update. The messages are
 * Milena's wording, meant for the `error_message` fields of answers where nothing more exact is known.
 *
 * Codes are dense, so looking one up by number is an array access. A code from the future reads as UNKNOWN_SERVER_ERROR,
 * as Kafka's clients do it.
 */

const retriable = true
const final = false

const table = {
  UNKNOWN_SERVER_ERROR: [-1, final, 'The broker failed in a way it did not expect'],
  NONE: [0, final, 'Success'],
  OFFSET_OUT_OF_RANGE: [1, final, 'The offset lies outside the log of this partition'],
  CORRUPT_MESSAGE: [2, retriable, 'The batch is damaged: checksum, size or structure does not hold'],
  UNKNOWN_TOPIC_OR_PARTITION: [3, retriable, 'This broker does not have that topic or partition'],
  INVALID_FETCH_SIZE: [4, final, 'The fetch size makes no sense'],
  LEADER_NOT_AVAILABLE: [5, retriable, 'The partition has no leader at the moment'],
  NOT_LEADER_OR_FOLLOWER: [6, retriable, 'This broker does not lead (or replicate) that partition'],
  REQUEST_TIMED_OUT: [7, retriable, 'The work was not done within the requested time'],
  BROKER_NOT_AVAILABLE: [8, final, 'The broker is not available'],
  REPLICA_NOT_AVAILABLE: [9, retriable, 'The replica is not available for this partition'],
  MESSAGE_TOO_LARGE: [10, final, 'The batch is larger than max.message.bytes allows'],
  STALE_CONTROLLER_EPOCH: [11, final, 'The controller has moved to another broker'],
  OFFSET_METADATA_TOO_LARGE: [12, final, 'The metadata of the offset commit is too long'],
  NETWORK_EXCEPTION: [13, retriable, 'The connection was lost before an answer came'],
  COORDINATOR_LOAD_IN_PROGRESS: [14, retriable, 'The coordinator is still loading its state'],
  COORDINATOR_NOT_AVAILABLE: [15, retriable, 'No coordinator is available for this key'],
  NOT_COORDINATOR: [16, retriable, 'This broker does not coordinate that key'],
  INVALID_TOPIC_EXCEPTION: [17, final, 'The topic name is not allowed, or the topic must not be used this way'],
  RECORD_LIST_TOO_LARGE: [18, final, 'The batches are larger than a segment'],
  NOT_ENOUGH_REPLICAS: [19, retriable, 'Fewer replicas are in sync than min.insync.replicas asks for'],
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: [
    20,
    retriable,
    'Appended, but fewer replicas were in sync than min.insync.replicas asks for'
  ],
  INVALID_REQUIRED_ACKS: [21, final, 'acks must be 0, 1 or -1'],
  ILLEGAL_GENERATION: [22, final, "The generation is not the group's current one"],
  INCONSISTENT_GROUP_PROTOCOL: [23, final, "The member's protocols do not fit those of the group"],
  INVALID_GROUP_ID: [24, final, 'The group id is not allowed'],
  UNKNOWN_MEMBER_ID: [25, final, 'The group has no member of that id'],
  INVALID_SESSION_TIMEOUT: [26, final, "The session timeout is outside the broker's range"],
  REBALANCE_IN_PROGRESS: [27, final, 'The group rebalances: join again'],
  INVALID_COMMIT_OFFSET_SIZE: [28, final, 'The offset commit is too large'],
  TOPIC_AUTHORIZATION_FAILED: [29, final, 'No permission for the topic'],
  GROUP_AUTHORIZATION_FAILED: [30, final, 'No permission for the group'],
  CLUSTER_AUTHORIZATION_FAILED: [31, final, 'No permission for the cluster'],
  INVALID_TIMESTAMP: [32, final, "The record's timestamp is outside the accepted range"],
  UNSUPPORTED_SASL_MECHANISM: [33, final, 'The broker does not offer that SASL mechanism'],
  ILLEGAL_SASL_STATE: [34, final, 'The request does not fit the state of authentication'],
  UNSUPPORTED_VERSION: [35, final, 'The broker does not speak that version of the API'],
  TOPIC_ALREADY_EXISTS: [36, final, 'A topic of that name exists already'],
  INVALID_PARTITIONS: [37, final, 'The number of partitions is not allowed'],
  INVALID_REPLICATION_FACTOR: [38, final, 'The replication factor is below one or above the number of brokers'],
  INVALID_REPLICA_ASSIGNMENT: [39, final, 'The replica assignment is not valid'],
  INVALID_CONFIG: [40, final, 'A configuration value is not valid'],
  NOT_CONTROLLER: [41, retriable, 'This broker is not the active controller'],
  INVALID_REQUEST: [42, final, 'The request contradicts itself or the protocol'],
  UNSUPPORTED_FOR_MESSAGE_FORMAT: [43, final, 'The stored record format does not support this request'],
  POLICY_VIOLATION: [44, final, 'A policy of the broker forbids the request'],
  OUT_OF_ORDER_SEQUENCE_NUMBER: [45, final, "The batch's sequence number does not follow the last one of its producer"],
  DUPLICATE_SEQUENCE_NUMBER: [46, final, "The batch's sequence number was seen long ago"],
  INVALID_PRODUCER_EPOCH: [47, final, "The producer's epoch is older than one already seen"],
  INVALID_TXN_STATE: [48, final, 'The transaction is not in a state that allows this'],
  INVALID_PRODUCER_ID_MAPPING: [49, final, 'The producer id does not belong to that transactional id'],
  INVALID_TRANSACTION_TIMEOUT: [50, final, 'The transaction timeout is above transaction.max.timeout.ms'],
  CONCURRENT_TRANSACTIONS: [51, retriable, 'Another operation on the same transaction is under way'],
  TRANSACTION_COORDINATOR_FENCED: [52, final, 'A newer transaction coordinator has taken over'],
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: [53, final, 'No permission for the transactional id'],
  SECURITY_DISABLED: [54, final, 'The broker runs without the security feature asked for'],
  OPERATION_NOT_ATTEMPTED: [55, final, 'Not attempted, because another part of the request failed'],
  KAFKA_STORAGE_ERROR: [56, retriable, "The broker's disk failed for this partition"],
  LOG_DIR_NOT_FOUND: [57, final, 'The broker has no such log directory'],
  SASL_AUTHENTICATION_FAILED: [58, final, 'The credentials were not accepted'],
  UNKNOWN_PRODUCER_ID: [59, final, 'The broker has no memory of that producer id on this partition'],
  REASSIGNMENT_IN_PROGRESS: [60, final, 'The partition is being reassigned already'],
  DELEGATION_TOKEN_AUTH_DISABLED: [61, final, 'Delegation tokens are switched off'],
  DELEGATION_TOKEN_NOT_FOUND: [62, final, 'The delegation token is not known'],
  DELEGATION_TOKEN_OWNER_MISMATCH: [63, final, 'The delegation token belongs to somebody else'],
  DELEGATION_TOKEN_REQUEST_NOT_ALLOWED: [64, final, 'Delegation tokens cannot be handled over this kind of connection'],
  DELEGATION_TOKEN_AUTHORIZATION_FAILED: [65, final, 'No permission for the delegation token'],
  DELEGATION_TOKEN_EXPIRED: [66, final, 'The delegation token has expired'],
  INVALID_PRINCIPAL_TYPE: [67, final, 'That type of principal is not supported'],
  NON_EMPTY_GROUP: [68, final, 'The group still has members'],
  GROUP_ID_NOT_FOUND: [69, final, 'There is no group of that id'],
  FETCH_SESSION_ID_NOT_FOUND: [70, retriable, 'The broker does not hold that fetch session'],
  INVALID_FETCH_SESSION_EPOCH: [71, retriable, 'The epoch does not fit the fetch session'],
  LISTENER_NOT_FOUND: [72, retriable, 'The leader has no listener of the name the client came through'],
  TOPIC_DELETION_DISABLED: [73, final, 'Deletion of topics is switched off'],
  FENCED_LEADER_EPOCH: [74, retriable, 'The leader epoch in the request is out of date'],
  UNKNOWN_LEADER_EPOCH: [75, retriable, "The leader epoch in the request is newer than the broker's own"],
  UNSUPPORTED_COMPRESSION_TYPE: [76, final, 'That compression codec cannot be used here'],
  STALE_BROKER_EPOCH: [77, final, 'The broker was registered anew since that epoch'],
  OFFSET_NOT_AVAILABLE: [78, retriable, 'The new leader does not yet know how far the log is committed'],
  MEMBER_ID_REQUIRED: [79, final, 'Join again with the member id given in the answer'],
  PREFERRED_LEADER_NOT_AVAILABLE: [80, retriable, 'The preferred leader cannot take over now'],
  GROUP_MAX_SIZE_REACHED: [81, final, 'The group has as many members as it may'],
  FENCED_INSTANCE_ID: [82, final, 'Another member with the same group.instance.id has taken over'],
  ELIGIBLE_LEADERS_NOT_AVAILABLE: [83, retriable, 'No replica is eligible to lead'],
  ELECTION_NOT_NEEDED: [84, retriable, 'The right replica leads already'],
  NO_REASSIGNMENT_IN_PROGRESS: [85, final, 'The partition is not being reassigned'],
  GROUP_SUBSCRIBED_TO_TOPIC: [86, final, 'The group still subscribes to the topic'],
  INVALID_RECORD: [87, final, 'A record breaks the rules of the topic or of the format'],
  UNSTABLE_OFFSET_COMMIT: [88, retriable, 'An open transaction holds offsets back'],
  THROTTLING_QUOTA_EXCEEDED: [89, retriable, 'The quota is used up for now'],
  PRODUCER_FENCED: [90, final, 'A newer producer with the same transactional id has taken over'],
  RESOURCE_NOT_FOUND: [91, final, 'What the request refers to does not exist'],
  DUPLICATE_RESOURCE: [92, final, 'The request names the same thing twice'],
  UNACCEPTABLE_CREDENTIAL: [93, final, 'The credential does not meet the rules for credentials'],
  INCONSISTENT_VOTER_SET: [94, final, 'The set of voters differs between the two sides'],
  INVALID_UPDATE_VERSION: [95, final, 'The update version is not valid'],
  FEATURE_UPDATE_FAILED: [96, final, 'The features could not be finalised'],
  PRINCIPAL_DESERIALIZATION_FAILURE: [97, final, 'The forwarded principal could not be read'],
  SNAPSHOT_NOT_FOUND: [98, final, 'The snapshot does not exist'],
  POSITION_OUT_OF_RANGE: [99, final, 'The position lies outside the snapshot'],
  UNKNOWN_TOPIC_ID: [100, retriable, 'This broker does not have a topic of that id'],
  DUPLICATE_BROKER_REGISTRATION: [101, final, 'The broker id is in use'],
  BROKER_ID_NOT_REGISTERED: [102, final, 'The broker id was never registered'],
  INCONSISTENT_TOPIC_ID: [103, retriable, 'The topic id differs from the one in the log'],
  INCONSISTENT_CLUSTER_ID: [104, final, 'The cluster id is that of another cluster'],
  TRANSACTIONAL_ID_NOT_FOUND: [105, final, 'The transactional id is not known'],
  FETCH_SESSION_TOPIC_ID_ERROR: [106, retriable, 'The fetch session mixes topic ids and topic names'],
  INELIGIBLE_REPLICA: [107, final, 'A replica in the requested in-sync set must not be in it'],
  NEW_LEADER_ELECTED: [108, final, 'The change was made, and a new leader leads now'],
  OFFSET_MOVED_TO_TIERED_STORAGE: [109, final, 'The offset has moved to tiered storage'],
  FENCED_MEMBER_EPOCH: [110, final, 'The group coordinator fenced the member: give up all partitions and join again'],
  UNRELEASED_INSTANCE_ID: [111, final, 'The earlier member with this instance id has not left yet'],
  UNSUPPORTED_ASSIGNOR: [112, final, 'The group coordinator does not have that assignor'],
  STALE_MEMBER_EPOCH: [113, final, 'The member epoch is out of date: retry after the next heartbeat'],
  MISMATCHED_ENDPOINT_TYPE: [114, final, 'The request belongs to an endpoint of another type'],
  UNSUPPORTED_ENDPOINT_TYPE: [115, final, 'This type of endpoint is not supported'],
  UNKNOWN_CONTROLLER_ID: [116, final, 'No controller of that id is known'],
  UNKNOWN_SUBSCRIPTION_ID: [117, final, 'The telemetry subscription is not, or no longer, known'],
  TELEMETRY_TOO_LARGE: [118, final, 'The telemetry report is larger than the broker takes'],
  INVALID_REGISTRATION: [119, final, "The controller finds the broker's registration wrong"],
  TRANSACTION_ABORTABLE: [120, final, 'The transaction cannot go on, but can be aborted'],
  INVALID_RECORD_STATE: [121, final, 'The record is not in a state that allows this acknowledgement'],
  SHARE_SESSION_NOT_FOUND: [122, retriable, 'The broker does not hold that share session'],
  INVALID_SHARE_SESSION_EPOCH: [123, retriable, 'The epoch does not fit the share session'],
  FENCED_STATE_EPOCH: [124, final, "The share group's state has a different epoch"],
  INVALID_VOTER_KEY: [125, final, "The voter's directory is not the one it is known by"],
  DUPLICATE_VOTER: [126, final, 'The voter is in the set already'],
  VOTER_NOT_FOUND: [127, final, 'The voter is not in the set'],
  INVALID_REGULAR_EXPRESSION: [128, final, 'The regular expression does not parse'],
  REBOOTSTRAP_REQUIRED: [129, final, "The client's metadata is too old: bootstrap again"],
  STREAMS_INVALID_TOPOLOGY: [130, final, 'The streams topology is not valid'],
  STREAMS_INVALID_TOPOLOGY_EPOCH: [131, final, 'The epoch of the streams topology is not valid'],
  STREAMS_TOPOLOGY_FENCED: [132, final, 'A newer streams topology is in use'],
  SHARE_SESSION_LIMIT_REACHED: [133, retriable, 'The broker holds as many share sessions as it may']
} as const satisfies Record<string, readonly [code: number, retriable: boolean, message: string]>

/** Name of an error, spelled as in Kafka's protocol guide. NONE is success. */
export type ErrorName = keyof typeof table

/** Every name in ascending order of code, UNKNOWN_SERVER_ERROR (-1) first. */
export const errorNames: readonly ErrorName[] = (Object.keys(table) as ErrorName[]).sort(
  (left, right) => table[left][0] - table[right][0]
)

const lowestCode = -1

/** The int16 that stands for the error on the wire. */
export function errorCode(name: ErrorName): number {
  return table[name][0]
}

/** The name of a code off the wire; codes unknown to Kafka 4.3 read as UNKNOWN_SERVER_ERROR. */
export function errorName(code: number): ErrorName {
  return errorNames[code - lowestCode] ?? 'UNKNOWN_SERVER_ERROR'
}

/** Whether Kafka's clients may send the same request again after this error. */
export function isRetriable(name: ErrorName): boolean {
  return table[name][1]
}

/** One line for people; for `error_message` fields where the caller has nothing more exact to say. */
export function errorMessage(name: ErrorName): string {
  return table[name][2]
}
