export type { Attempt } from './testing/assertions.ts'
export { assertConnectLink, assertScopesRequired, assertSignInRequired } from './testing/assertions.ts'
export type { Place } from './testing/browser.ts'
export type { ReceivedChallenge } from './testing/challenge.ts'
export { SignInRequiredError } from './testing/challenge.ts'
export type { ProviderFault } from './testing/fake-connections.ts'
export type {
  FakeAccount,
  FakeApi,
  FakeProvider,
  FakeProviderOptions,
  FakeProviderRequest,
} from './testing/fake-provider.ts'
export { fakeProvider } from './testing/fake-provider.ts'
export type { ConnectOptions, Era, TestCaller } from './testing/test-caller.ts'
export { eras } from './testing/test-caller.ts'
export type { TestClock } from './testing/test-clock.ts'
export { createTestClock } from './testing/test-clock.ts'
export type { LogEntry } from './testing/test-log.ts'
export type {
  TestClient,
  TestServer,
  TestServerOptions,
  TestUser,
  TestUserCaller,
} from './testing/test-server.ts'
export { createTestServer } from './testing/test-server.ts'
export { withoutStart } from './testing/without-start.ts'
