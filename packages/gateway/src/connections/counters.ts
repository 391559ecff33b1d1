/** What a gateway counts; plain numbers that only grow, read by `stats()`. */

export class ConnectionCounters {
  connectionsAccepted = 0
  /** Closed on accept: max.connections or max.connections.per.ip. */
  connectionsRefused = 0
  requests = 0
  bytesReceived = 0
  bytesSent = 0
  /** Requests that cost their connection: bad frames, unknown APIs, undecodable bodies. */
  malformedRequests = 0
  /** Requests with bytes behind the last field; they are served. */
  trailingBytesRequests = 0
  /** Handlers that threw. */
  handlerErrors = 0
}
