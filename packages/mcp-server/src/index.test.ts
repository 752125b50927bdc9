import { expect, it } from 'vitest'
import * as surface from './index.ts'
import * as stdio from './stdio.ts'

it('the public surface is what is promised: a new name is a decision', () => {
  expect(Object.keys(surface).sort()).toEqual([
    'ClientCapabilityError',
    'ConfigurationError',
    'ConnectionRequiredError',
    'ProviderUnavailableError',
    'ToolError',
    'createFileStore',
    'createJsonLinesSink',
    'createMemoryStore',
    'createPkcs8Signer',
    'createServer',
    'developmentSignIn',
    'requiresAuth',
    'tool',
  ])
  expect(Object.keys(stdio)).toEqual(['serveStdio'])
})
