import {
  type AccessToken,
  type DpopProofs,
  OAuthError,
  type SallyportEvent,
  StoreUnavailableError,
} from '@sallyport/oauth'
import { describe, expect, it } from 'vitest'
import { createBearerGate } from './bearer-gate.ts'
import type { Operation } from './operation.ts'

const metadataUrl = 'https://mcp.example.com/.well-known/oauth-protected-resource/mcp'
const resource = 'https://mcp.example.com/mcp'

const tokenFor = (scopes: string[]): AccessToken => ({
  principal: 'user',
  userId: 'ada',
  subject: 'ada',
  clientId: 'client',
  scopes,
  resource,
  issuer: 'https://mcp.example.com',
  grantId: 'grant',
  jti: 'jti',
  expiresAt: 2_000,
  authTime: 1_000,
})

const proofs: Pick<DpopProofs, 'algorithms' | 'verifyAccessToken'> = {
  algorithms: ['ES256', 'PS256'],
  async verifyAccessToken(request, value, target) {
    const proof = request.headers.get('dpop')
    if (proof === 'needs nonce') {
      throw new OAuthError('use_dpop_nonce', 'nonce', { headers: { 'DPoP-Nonce': 'fresh' } })
    }
    if (proof !== `proof of ${value} for ${target.resource}`) {
      throw new OAuthError('invalid_dpop_proof', 'proof')
    }
    if (value === 'down') throw new StoreUnavailableError('feed is silent')
    if (value !== 'bound') throw new OAuthError('invalid_token', 'no')
    return tokenFor(['mcp'])
  },
}

function setUp(dpop?: typeof proofs) {
  const asked: [string, string][] = []
  const events: SallyportEvent[] = []
  const gate = createBearerGate({
    verifier: {
      dpop,
      async verifyAccessToken(value, audience) {
        asked.push([value, audience])
        if (value === 'good') return tokenFor(['mcp'])
        if (value === 'machine') {
          return { ...tokenFor(['mcp', ...notes]), principal: 'client', userId: undefined }
        }
        if (value === 'writer') return tokenFor(['mcp', 'notes:write', 'notes:read'])
        if (value === 'untimed') return { ...tokenFor(['mcp']), authTime: undefined }
        if (value === 'down') throw new StoreUnavailableError('feed is silent')
        throw new OAuthError('invalid_token', 'no')
      },
    },
    resource,
    metadataUrl,
    emit: event => events.push(event),
    clock: () => 1_500,
  })
  return { gate, asked, events }
}

const publicTool: Operation = {
  name: 'add',
  needsCaller: false,
  allowsClients: true,
  scopes: [],
  challengeScopes: ['mcp'],
}
const protectedTool: Operation = {
  ...publicTool,
  name: 'whoami',
  needsCaller: true,
  allowsClients: false,
}
const notes = ['notes:read', 'notes:write']
const scopedTool: Operation = {
  name: 'add-note',
  needsCaller: true,
  allowsClients: false,
  scopes: notes,
  challengeScopes: notes,
}

const request = (authorization?: string, url = 'https://mcp.example.com/mcp') =>
  new Request(url, { method: 'POST', ...(authorization !== undefined && { headers: { authorization } }) })

async function answer(operation: Operation, authorization?: string, url?: string) {
  const result = await setUp().gate(request(authorization, url), operation)
  if (!('response' in result)) return { caller: result.caller }
  const { status, headers } = result.response
  return { status, challenge: headers.get('www-authenticate'), body: await result.response.json() }
}

describe('bearer gate with DPoP', () => {
  const metadata = `resource_metadata="${metadataUrl}"`
  const algs = 'algs="ES256 PS256"'
  async function dpopAnswer(operation: Operation, authorization?: string, dpop?: string) {
    const headers = { ...(authorization && { authorization }), ...(dpop && { dpop }) }
    const result = await setUp(proofs).gate(new Request(resource, { method: 'POST', headers }), operation)
    if (!('response' in result)) return { caller: result.caller }
    const { status, headers: answered } = result.response
    const { error } = (await result.response.json()) as { error?: string }
    const [challenge, nonce] = ['www-authenticate', 'dpop-nonce'].map(name => answered.get(name))
    return { status, challenge, nonce, error }
  }
  const proof = `proof of bound for ${resource}`

  it.each(['DPoP bound', 'dpop bound', 'DPOP  bound'])('R159: %s with its proof gets in', async header => {
    expect(await dpopAnswer(protectedTool, header, proof)).toMatchObject({ caller: { userId: 'ada' } })
  })

  it('R149, R159: without credentials Bearer comes first, DPoP is another way in, and there is no error', async () => {
    expect(await dpopAnswer(scopedTool)).toMatchObject({
      status: 401,
      challenge: `Bearer ${metadata}, scope="notes:read notes:write", DPoP ${algs}`,
      error: undefined,
    })
  })

  it('R159: a bad bearer token is told so as Bearer, and that DPoP is another way in', async () => {
    const { status, challenge } = await dpopAnswer(protectedTool, 'Bearer bound', proof)
    expect(status).toBe(401)
    expect(challenge).toMatch(/^Bearer error="invalid_token", .*, scope="mcp", DPoP algs="ES256 PS256"$/)
  })

  it.each([
    ['no proof', 'DPoP bound', undefined, 'invalid_dpop_proof'],
    ['a proof for another token', 'DPoP other', proof, 'invalid_dpop_proof'],
    ['a token that is not bound', 'DPoP good', `proof of good for ${resource}`, 'invalid_token'],
    ['no token', 'DPoP', proof, 'invalid_token'],
    ['a malformed token', 'DPoP bo und', proof, 'invalid_token'],
    ['no nonce', 'DPoP bound', 'needs nonce', 'use_dpop_nonce'],
  ])('R159: %s: 401 in the words of DPoP', async (_, header, dpop, error) => {
    const answered = await dpopAnswer(protectedTool, header, dpop)
    expect(answered).toMatchObject({ status: 401, error, nonce: error === 'use_dpop_nonce' ? 'fresh' : null })
    expect(answered.challenge).toMatch(
      new RegExp(`^DPoP error="${error}", error_description="[^"]+", ${metadata}, scope="mcp", ${algs}$`),
    )
  })

  it('R159: on a public tool too a bad proof is told, not passed over', async () => {
    expect(await dpopAnswer(publicTool, 'DPoP bound')).toMatchObject({ status: 401 })
    expect(await dpopAnswer(publicTool, 'DPoP bound', proof)).toMatchObject({ caller: { userId: 'ada' } })
  })

  it('R156, R159: what a bound token lacks is told as DPoP, what a bearer token lacks as Bearer alone', async () => {
    const bound = await dpopAnswer(scopedTool, 'DPoP bound', proof)
    expect(bound.challenge).toMatch(
      /^DPoP error="insufficient_scope".* scope="notes:read notes:write", algs="/,
    )
    const bearer = await dpopAnswer(scopedTool, 'Bearer good')
    expect([bound.status, bearer.status]).toEqual([403, 403])
    expect(bearer.challenge).not.toContain('DPoP')
  })

  it('R151: two credentials are refused with 400, whatever they are', async () => {
    const both = await dpopAnswer(protectedTool, 'Bearer good, DPoP bound', proof)
    expect(both).toMatchObject({ status: 400, error: 'invalid_request' })
  })

  it('trouble of our own keeps the user signed in', async () => {
    const answered = await dpopAnswer(protectedTool, 'DPoP down', `proof of down for ${resource}`)
    expect(answered).toMatchObject({ status: 503, error: 'temporarily_unavailable' })
  })

  it('R5: off, DPoP is a scheme like any unknown one', async () => {
    const headers = { authorization: 'DPoP bound', dpop: proof }
    const result = await setUp().gate(new Request(resource, { method: 'POST', headers }), scopedTool)
    if (!('response' in result)) throw new Error('let through')
    expect(result.response.headers.get('www-authenticate')).toBe(
      `Bearer ${metadata}, scope="notes:read notes:write"`,
    )
  })
})

describe('bearer gate', () => {
  it.each([
    ['good', 500, 'passes'],
    ['good', 499, 'challenged'],
    ['untimed', 86_400, 'challenged'],
  ])(
    'RFC 9470: a sign-in (%s) for a tool that wants one of the last %i seconds: %s',
    async (value, maxAgeSeconds, expected) => {
      const scoped = { ...scopedTool, scopes: expected === 'passes' ? [] : notes, maxAgeSeconds }
      const { status, challenge } = (await answer(scoped, `Bearer ${value}`)) as {
        status?: number
        challenge?: string
      }
      expect(status).toBe(expected === 'passes' ? undefined : 401)
      if (expected === 'passes') return
      expect(challenge).toMatch(
        /^Bearer error="insufficient_user_authentication", error_description="[^"]+", /,
      )
      // Age and scopes in one challenge: one sign-in is enough.
      expect(challenge).toContain(`max_age="${maxAgeSeconds}"`)
      expect(challenge).toContain('scope="notes:read notes:write"')
    },
  )

  it('R149: no credentials: 401 with where to sign in and the scopes of this very tool, and no error code', async () => {
    expect(await answer(scopedTool)).toEqual({
      status: 401,
      challenge: `Bearer resource_metadata="${metadataUrl}", scope="notes:read notes:write"`,
      body: { error_description: 'Sign in to use this.' },
    })
  })

  it('R149: a bad token: 401 invalid_token', async () => {
    const { status, challenge, body } = await answer(protectedTool, 'Bearer bad')
    expect(status).toBe(401)
    expect(challenge).toMatch(/^Bearer error="invalid_token", .*resource_metadata=".*", scope="mcp"$/)
    expect(body).toMatchObject({ error: 'invalid_token' })
  })

  it('a bad token is refused on a public tool too, so that the client learns it is not signed in', async () => {
    expect((await answer(publicTool, 'Bearer bad')).status).toBe(401)
  })

  it('a public tool works without a token, and knows the caller when there is a good one', async () => {
    expect(await answer(publicTool)).toEqual({ caller: undefined })
    expect(await answer(publicTool, 'Bearer good')).toMatchObject({ caller: { userId: 'ada' } })
  })

  it('R153: the verifier is asked for this resource and no other', async () => {
    const { gate, asked } = setUp()
    await gate(request('Bearer good'), protectedTool)
    expect(asked).toEqual([['good', resource]])
  })

  it.each(['Bearer good', 'bearer good', 'BEARER   good'])(
    'R151: the scheme counts in any case: %s',
    async header => {
      expect(await answer(protectedTool, header)).toMatchObject({ caller: { userId: 'ada' } })
    },
  )

  it.each(['Basic good', 'Token good', 'DPoP good', 'good', 'Bearergood'])(
    'R151: %s is no bearer token: 401 as if there were none',
    async header => {
      const { status, challenge } = await answer(protectedTool, header)
      expect(status).toBe(401)
      expect(challenge).not.toContain('error=')
    },
  )

  it.each(['Bearer good, Bearer good', 'Bearer good, Basic x', 'Basic x, Bearer good', 'Bearer good,'])(
    'R151: two credentials are refused with 400: %s',
    async header => {
      expect(await answer(protectedTool, header)).toMatchObject({
        status: 400,
        body: { error: 'invalid_request' },
      })
    },
  )

  it.each(['Bearer ', 'Bearer', 'Bearer go od', 'Bearer "good"', 'Bearer gööd'.replaceAll('ö', '%C3')])(
    'R151: %s is malformed and never reaches the verifier',
    async header => {
      const { gate, asked } = setUp()
      const result = await gate(request(header), protectedTool)
      expect('response' in result && result.response.status).toBe(401)
      expect(asked).toEqual([])
    },
  )

  it('R151: a token in the query is not looked at', async () => {
    const { status, challenge } = await answer(protectedTool, undefined, `${resource}?access_token=good`)
    expect(status).toBe(401)
    expect(challenge).not.toContain('error=')
  })

  it('R156: a token without a scope: 403 naming all scopes the tool needs', async () => {
    const { gate, events } = setUp()
    const result = await gate(request('Bearer good'), scopedTool)
    if (!('response' in result)) throw new Error('let through')
    expect(result.response.status).toBe(403)
    expect(result.response.headers.get('www-authenticate')).toBe(
      `Bearer error="insufficient_scope", error_description="This needs more than was granted.", resource_metadata="${metadataUrl}", scope="notes:read notes:write"`,
    )
    expect(events).toEqual([{ type: 'scope_challenged', operation: 'add-note', scopes: notes }])
  })

  it('R156: what a request turns out to be is judged as well, by the same token, which is verified once', async () => {
    const { gate, asked, events } = setUp()
    const seen: (string | undefined)[] = []
    const turnsOut = async ({ userId }: { userId: string | undefined }) => {
      seen.push(userId)
      return scopedTool
    }
    const refused = await gate(request('Bearer good'), protectedTool, turnsOut)
    if (!('response' in refused)) throw new Error('let through')
    expect(refused.response.status).toBe(403)
    expect(refused.response.headers.get('www-authenticate')).toContain('scope="notes:read notes:write"')
    expect(events).toEqual([{ type: 'scope_challenged', operation: 'add-note', scopes: notes }])
    expect(asked).toHaveLength(1)
    expect(await gate(request('Bearer writer'), protectedTool, turnsOut)).toHaveProperty('caller')
    expect(await gate(request('Bearer good'), protectedTool, async () => undefined)).toHaveProperty('caller')
    // Who was refused already, or is nobody, turns out to be nothing.
    await gate(request('Bearer good'), scopedTool, turnsOut)
    await gate(request(), publicTool, turnsOut)
    expect(seen).toEqual(['ada', 'ada'])
  })

  it('R156: an anonymous tool with scopes does not take a token that lacks them for one that has them', async () => {
    const anonymous = { ...scopedTool, needsCaller: false }
    expect(await answer(anonymous)).toEqual({ caller: undefined })
    expect((await answer(anonymous, 'Bearer good')).status).toBe(403)
    expect(await answer(anonymous, 'Bearer writer')).toMatchObject({ caller: { userId: 'ada' } })
  })

  it('R115: a client by itself is refused where a user is needed, whatever its scopes, and not sent to sign in', async () => {
    for (const operation of [protectedTool, scopedTool]) {
      expect(await answer(operation, 'Bearer machine')).toEqual({
        status: 403,
        challenge: null,
        body: {
          error: 'access_denied',
          error_description: 'This is for signed-in users, not for clients by themselves.',
        },
      })
    }
  })

  it('R115: where clients may, it is a client and no user; without the scope it is told which', async () => {
    const jobs = { ...scopedTool, allowsClients: true }
    expect(await answer(jobs, 'Bearer machine')).toMatchObject({
      caller: { principal: 'client', userId: undefined, clientId: 'client' },
    })
    const more = { ...jobs, scopes: ['jobs'], challengeScopes: ['jobs'] }
    expect(await answer(more, 'Bearer machine')).toMatchObject({
      status: 403,
      body: { error: 'insufficient_scope' },
    })
    expect(await answer({ ...jobs, needsCaller: true }, 'Bearer writer')).toMatchObject({
      caller: { principal: 'user', userId: 'ada' },
    })
  })

  it('R158: the caller carries no token', async () => {
    const { caller } = await answer(protectedTool, 'Bearer good')
    expect(caller).toEqual({
      principal: 'user',
      userId: 'ada',
      issuer: 'https://mcp.example.com',
      subject: 'ada',
      clientId: 'client',
      scopes: ['mcp'],
      grantId: 'grant',
      authTime: 1_000,
      expiresAt: 2_000,
    })
  })

  it('trouble of our own keeps the user signed in: 503 with Retry-After, never 401', async () => {
    const { gate, events } = setUp()
    const result = await gate(request('Bearer down'), protectedTool)
    if (!('response' in result)) throw new Error('let through')
    expect(result.response.status).toBe(503)
    expect(result.response.headers.get('retry-after')).toBe('1')
    expect(await result.response.json()).toMatchObject({ error: 'temporarily_unavailable' })
    expect(events).toEqual([{ type: 'store_unavailable', step: 'bearer gate' }])
  })

  it('R150: nothing of the request comes back in the answer', async () => {
    const url = 'https://mcp.example.com/mcp?x=%0d%0acanary%22'
    const result = await setUp().gate(
      new Request(url, { headers: { authorization: 'Bearer canary-token', host: 'canary' } }),
      scopedTool,
    )
    if (!('response' in result)) throw new Error('let through')
    expect(JSON.stringify([...result.response.headers]) + (await result.response.text())).not.toContain(
      'canary',
    )
  })
})
