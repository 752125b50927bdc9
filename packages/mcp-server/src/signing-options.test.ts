import { generateKeyPairSync } from 'node:crypto'
import { ConfigurationError, createMemoryStore, createPkcs8Signer, developmentSignIn } from '@sallyport/oauth'
import { expect, it } from 'vitest'
import { createServer } from './create-server.ts'
import { createLogger } from './log.ts'
import type { SignInOptions } from './sign-in.ts'

const createSigningServer = (options: SignInOptions) => {
  const server = createServer({
    name: 'notebook',
    version: '1.0.0',
    signIn: developmentSignIn(),
    store: createMemoryStore(),
    secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
    environment: {},
    logger: createLogger({ name: 'test', level: 'silent' }),
    ...options,
  })
  server.tool('whoami', { description: 'Names you', auth: {}, run: (_, { caller }) => caller.userId })
  return server
}

it('R174: a server signs with the signer it was given', async () => {
  const pem = generateKeyPairSync('rsa', { modulusLength: 2048 })
    .privateKey.export({ type: 'pkcs8', format: 'pem' })
    .toString()
  const server = createSigningServer({
    signers: [await createPkcs8Signer({ pem, alg: 'PS256', kid: 'hsm' })],
  })
  const response = await server.fetch(new Request('http://localhost:3000/oauth/jwks'))
  expect(await response.json()).toMatchObject({ keys: [{ kid: 'hsm', alg: 'PS256', kty: 'RSA' }] })
})

it('R174: a rotation that leaves caches behind is refused before a request is served', async () => {
  const server = createSigningServer({ signingKeyRotation: { publishAheadSeconds: 10 } })
  await expect(async () => server.fetch(new Request('http://localhost:3000/oauth/jwks'))).rejects.toThrow(
    ConfigurationError,
  )
})
