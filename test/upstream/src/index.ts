export { type Account, accounts } from './accounts.ts'
export type { Control, Failure, Hold, Secret, SeenRequest } from './control.ts'
export type { SeenProof } from './dpop.ts'
export type { EndpointName, UpstreamKind } from './kinds.ts'
export { googleScopes } from './kinds.ts'
export {
  type SecurityEventFault,
  type SecurityEventOptions,
  type SecurityEventTransmitter,
  securityEventTypes,
} from './security-events.ts'
export { startUpstream } from './start-upstream.ts'
export type { Upstream, UpstreamOptions } from './upstream.ts'
