import { expect, it } from 'vitest'
import * as surface from './index.ts'
import * as stdio from './stdio.ts'
import * as testing from './testing.ts'

it('the public surface is what is promised: a new name is a decision', () => {
  expect(Object.keys(surface).sort()).toEqual([
    'ClientCapabilityError',
    'ConfigurationError',
    'ConnectionRequiredError',
    'ProviderUnavailableError',
    'ToolError',
    'content',
    'createFileStore',
    'createJsonLinesSink',
    'createMemoryStore',
    'createPkcs8Signer',
    'createServer',
    'currentCall',
    'developmentSignIn',
    'prompt',
    'requiresAuth',
    'resource',
    'tool',
    'withJsonSchema',
  ])
  expect(Object.keys(stdio)).toEqual(['serveStdio'])
  expect(Object.keys(testing).sort()).toEqual([
    'SignInRequiredError',
    'assertConnectLink',
    'assertScopesRequired',
    'assertSignInRequired',
    'createTestClock',
    'createTestServer',
    'eras',
    'fakeProvider',
    'withoutStart',
  ])
})
