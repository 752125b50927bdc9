/** Environment of one request: what only the host of the app knows. */
export interface RequestEnvironment {
  /** Address of the peer, for rate limits and events; absent: no source is limited. */
  remoteAddress?: string
  /** What `@hono/node-server` gives an app that this one is mounted in: the same address, from the socket. */
  incoming?: { socket?: { remoteAddress?: string | undefined } }
}
