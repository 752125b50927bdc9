export type { Admin } from './admin.ts'
export type { AuthorizationServer } from './authorization-server.ts'
export { createAuthorizationServer } from './authorization-server.ts'
export type { Client, ConfiguredClient } from './clients/client.ts'
export type { ConfiguredResourceServer } from './clients/resource-servers.ts'
export type { RequestInfo } from './context.ts'
export { developmentSignIn } from './development-sign-in.ts'
export type { ConnectLink } from './endpoints/connect.ts'
export type { OAuthErrorCode } from './errors.ts'
export { ConfigurationError, OAuthError, StoreUnavailableError } from './errors.ts'
export { createEventEmitter } from './events/emitter.ts'
export type { JsonLinesSink } from './events/json-lines-sink.ts'
export { createJsonLinesSink } from './events/json-lines-sink.ts'
export type { SuspicionThresholds } from './events/suspicion.ts'
export { createSuspicionSink } from './events/suspicion.ts'
export type {
  AssertionProblem,
  EventSink,
  EventStamp,
  RecordedEvent,
  RecordedEventSink,
  SallyportEvent,
  SuspicionKind,
} from './events.ts'
export type { EnterpriseIssuer } from './grants/enterprise-issuers.ts'
export type { Pkcs8SignerOptions } from './keys/pkcs8-signer.ts'
export { createPkcs8Signer } from './keys/pkcs8-signer.ts'
export type { RekeyCount, RekeyOptions, RekeyResult } from './keys/rekey.ts'
export { rekey } from './keys/rekey.ts'
export { revocationTask } from './keys/revocation-task.ts'
export { connectionSealContext, revocationSealContext } from './keys/seal-context.ts'
export type { Opened, SealContext, Sealer } from './keys/sealer.ts'
export { createSealer } from './keys/sealer.ts'
export type { SecretRing } from './keys/secret-ring.ts'
export { createSecretRing } from './keys/secret-ring.ts'
export type { Signer } from './keys/signer.ts'
export type { SigningAlgorithm } from './keys/signing-algorithm.ts'
export type { SigningKeyRotation } from './keys/signing-key-rotation.ts'
export type { LimitedBy, LimitName } from './limits/limit-table.ts'
export type {
  AuthenticationRequest,
  ConnectionNeed,
  ConnectionPlan,
  ConnectionPlanner,
  Login,
  LoginCallback,
  LoginMemory,
  LoginProblem,
  LoginPrompt,
  LoginResult,
  LoginStart,
  PageLogin,
  PageLoginRequest,
  RedirectLogin,
} from './login.ts'
export { anotherAccount, LoginError } from './login.ts'
export type { AuthorizationServerOptions, Lifetimes } from './options.ts'
export type { TokenLifetimes } from './protocol/lifetimes.ts'
export type { RequestScope } from './request-scope.ts'
export { currentRequest, inRequest } from './request-scope.ts'
export type { IssuerFetch } from './resource-server/fetch-json.ts'
export type { IntrospectionCredentials } from './resource-server/introspection.ts'
export type { ResourceServer, ResourceServerOptions } from './resource-server/resource-server.ts'
export { createResourceServer } from './resource-server/resource-server.ts'
export type { Clock, RandomBytes } from './runtime.ts'
export { systemClock, systemRandom } from './runtime.ts'
export type {
  SecurityEvent,
  SecurityEventName,
  SecurityEventProblem,
  SecurityEventReceiver,
  SecurityEventToken,
} from './security-events.ts'
export { SecurityEventError } from './security-events.ts'
export type { ConnectionState, ConnectionStatus } from './storage/connection-status.ts'
export { connectionStatus } from './storage/connection-status.ts'
export { rankConnections } from './storage/default-connection.ts'
export type { FileStoreOptions } from './storage/file-store.ts'
export { createFileStore } from './storage/file-store.ts'
export type { IdentityParts } from './storage/find-user.ts'
export { hashIdentity } from './storage/find-user.ts'
export type { MemoryStore, MemoryStoreOptions } from './storage/memory-store.ts'
export { createMemoryStore } from './storage/memory-store.ts'
export type {
  CallTask,
  Circuit,
  Connection,
  ConnectionErrorClass,
  Grant,
  RevocationReason,
  Task,
} from './storage/records.ts'
export type {
  CallTaskKey,
  CallTaskStore,
  ChangeStore,
  ChangeWatcher,
  CircuitStore,
  ClaimOutcome,
  ConnectionKey,
  ConnectionPage,
  ConnectionStore,
  LeaseKey,
  LeaseStore,
  Revocation,
  SessionStore,
  SingleUseKind,
  SingleUseStore,
  Store,
  StoreStats,
  StreamEvent,
  TaskQueue,
  TaskStore,
} from './storage/store.ts'
export type { ConnectionSummary, GrantSummary } from './storage/summaries.ts'
export type { WindowCount, WindowCounter } from './storage/window-counter.ts'
export type {
  AccessToken,
  AccessTokenVerifier,
  ClientAccessToken,
  UserAccessToken,
} from './tokens/access-token.ts'
export type { DpopProofs } from './tokens/dpop-proofs.ts'
export type { AccessTokenFormat } from './tokens/opaque-access-token.ts'
