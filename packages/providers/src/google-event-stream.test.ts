import { ConfigurationError } from '@sallyport/oauth'
import { exportPKCS8, generateKeyPair, jwtVerify } from 'jose'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { registerGoogleSecurityEvents } from './google-event-stream.ts'
import { type FakeUpstream, startFakeUpstream } from './testing/fake-upstream.ts'

const keys = generateKeyPair('RS256', { extractable: true })
const update = '/v1beta/stream:update'
const verify = '/v1beta/stream:verify'

let upstream: FakeUpstream
beforeEach(async () => {
  upstream = await startFakeUpstream(() => 0)
  upstream.script(update, { status: 200 })
  upstream.script(verify, { status: 200 })
})
afterEach(() => upstream.close())

async function register(over: object = {}) {
  const serviceAccount = {
    client_email: 'events@project.iam.gserviceaccount.com',
    private_key_id: 'key-1',
    private_key: await exportPKCS8((await keys).privateKey),
  }
  const options = { serviceAccount, publicUrl: 'https://mcp.example.com', api: upstream.origin, ...over }
  return registerGoogleSecurityEvents(options)
}

it('Google is told where to push, and every event that is understood', async () => {
  await register()
  const [request] = upstream.seen(update)
  expect(JSON.parse(request!.body)).toEqual({
    delivery: {
      delivery_method: 'https://schemas.openid.net/secevent/risc/delivery-method/push',
      url: 'https://mcp.example.com/oauth/events/google',
    },
    events_requested: [
      'https://schemas.openid.net/secevent/risc/event-type/sessions-revoked',
      'https://schemas.openid.net/secevent/oauth/event-type/tokens-revoked',
      'https://schemas.openid.net/secevent/oauth/event-type/token-revoked',
      'https://schemas.openid.net/secevent/risc/event-type/account-disabled',
      'https://schemas.openid.net/secevent/risc/event-type/account-enabled',
      'https://schemas.openid.net/secevent/risc/event-type/account-credential-change-required',
      'https://schemas.openid.net/secevent/risc/event-type/verification',
    ],
  })
  expect(upstream.seen(verify)).toEqual([])
})

it('the service account signs for the RISC API, and for an hour', async () => {
  await register()
  const token = upstream.seen(update)[0]!.headers.authorization!.replace('Bearer ', '')
  const { payload, protectedHeader } = await jwtVerify(token, (await keys).publicKey)
  expect(protectedHeader).toEqual({ alg: 'RS256', kid: 'key-1' })
  expect(payload).toMatchObject({
    iss: 'events@project.iam.gserviceaccount.com',
    sub: 'events@project.iam.gserviceaccount.com',
    aud: 'https://risc.googleapis.com/google.identity.risc.v1beta.RiscManagementService',
  })
  expect(payload.exp! - payload.iat!).toBe(3600)
})

it('a test event is asked for with its marker, once the rest is done', async () => {
  await register({ marker: 'first-try' })
  expect(upstream.seen(verify).map(({ body }) => JSON.parse(body))).toEqual([{ state: 'first-try' }])
  upstream.script(update, { status: 403 })
  await expect(register({ marker: 'second-try' })).rejects.toThrow(ConfigurationError)
  expect(upstream.seen(verify)).toHaveLength(1)
})

it('R188: a refusal names what to check, without what Google said or the key', async () => {
  upstream.script(update, { status: 403, body: { error: { message: 'canary-words' } } })
  const refused = await register().catch(error => error)
  expect(refused).toBeInstanceOf(ConfigurationError)
  expect(refused.message).toContain('HTTP 403')
  expect(refused.message).not.toContain('canary')
  const unusable = { client_email: 'x', private_key_id: 'y', private_key: 'canary-key' }
  const unread = await register({ serviceAccount: unusable }).catch(error => error)
  expect(unread).toBeInstanceOf(ConfigurationError)
  expect(`${unread.stack} ${unread.cause}`).not.toContain('canary')
})
