import { AssertionError } from 'node:assert'
import { describe, expect, it } from 'vitest'
import { bearerChallenge, type Challenge } from '../bearer-challenge.ts'
import { assertConnectLink, assertScopesRequired, assertSignInRequired } from './assertions.ts'
import { challengeOf, SignInRequiredError } from './challenge.ts'

const metadataUrl = 'https://mcp.example.com/.well-known/oauth-protected-resource/mcp'
const answer = (status: number, challenge: Partial<Challenge> = {}) =>
  new Response(null, {
    status,
    headers: { 'www-authenticate': bearerChallenge({ metadataUrl, scopes: ['b', 'a'], ...challenge }) },
  })
const link = 'https://mcp.example.com/oauth/connect/google?ticket=a-B_c.d'
const linkResult = (text: string) => ({ isError: true, content: [{ type: 'text', text }] })

describe('what a challenge says', () => {
  it('is read from the first one, with quotes and with what comes after', () => {
    const description = 'Say "please", scope="x"'
    const challenge = challengeOf(
      answer(401, { error: 'invalid_token', description, maxAgeSeconds: 300, dpopAlgorithms: ['ES256'] }),
    )
    expect(challenge).toEqual({
      status: 401,
      error: 'invalid_token',
      scopes: ['b', 'a'],
      resourceMetadata: metadataUrl,
      maxAgeSeconds: 300,
    })
  })

  it('is nothing where there is none', () => {
    expect(challengeOf(new Response(null, { status: 200 }))).toMatchObject({ status: 200, scopes: [] })
  })
})

describe('assertSignInRequired', () => {
  it('takes a response, a promise of one, and what a client threw', async () => {
    const expected = { scopes: ['a', 'b'] }
    await assertSignInRequired(answer(401), expected)
    await assertSignInRequired(Promise.resolve(answer(401)), expected)
    await assertSignInRequired(new SignInRequiredError(challengeOf(answer(401))), expected)
    const thrown = Promise.reject(new SignInRequiredError(challengeOf(answer(401))))
    expect(await assertSignInRequired(thrown, expected)).toMatchObject({ scopes: ['b', 'a'] })
  })

  it.each<[string, () => unknown, object, RegExp]>([
    ['a success', () => new Response('canary'), {}, /told to sign in \(401\), but there was HTTP 200/],
    ['another refusal', () => answer(403), {}, /HTTP 403/],
    ['a result', () => ({ content: [{ text: 'canary' }] }), {}, /there was a result\./],
    ['another error', () => Promise.reject(new Error('offline')), {}, /the error Error: offline/],
    ['nothing', () => undefined, {}, /an answer/],
    ['fewer scopes', () => answer(401), { scopes: ['a', 'b', 'c'] }, /scopes .* \["a","b","c"\], and not/],
    ['more scopes', () => answer(401), { scopes: ['a'] }, /scopes/],
    ['another error code', () => answer(401), { error: 'invalid_token' }, /"invalid_token", and not none/],
    ['another age', () => answer(401), { maxAgeSeconds: 1 }, /max_age/],
    ['no metadata', () => answer(401, { metadataUrl: '' }), {}, /resource_metadata/],
    [
      'metadata elsewhere',
      () => answer(401, { metadataUrl: 'https://x.example/y' }),
      {},
      /resource_metadata/,
    ],
  ])('fails on %s, and prints nothing of a result', async (_, attempt, expected, message) => {
    const failed = await assertSignInRequired(attempt(), expected).catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(AssertionError)
    expect((failed as Error).message).toMatch(message)
    expect((failed as Error).message).not.toContain('canary')
  })
})

describe('assertScopesRequired', () => {
  it('takes a response, and what the client library throws', async () => {
    await assertScopesRequired(answer(403, { error: 'insufficient_scope' }), { scopes: ['a', 'b'] })
    const thrown = Object.assign(new Error('Insufficient scope'), {
      requiredScope: 'b a',
      resourceMetadataUrl: new URL(metadataUrl),
    })
    expect(await assertScopesRequired(Promise.reject(thrown), { scopes: ['a', 'b'] })).toMatchObject({
      resourceMetadata: metadataUrl,
    })
  })

  it.each<[string, () => unknown, RegExp]>([
    ['a 401', () => answer(401, { error: 'insufficient_scope' }), /ask for more scopes \(403\)/],
    ['a 403 for another reason', () => answer(403), /"insufficient_scope", and not none/],
    [
      'one scope that is not named',
      () => answer(403, { error: 'insufficient_scope', scopes: ['a'] }),
      /\["a","b"\], and not \["a"\]/,
    ],
  ])('fails on %s', async (_, attempt, message) => {
    await expect(assertScopesRequired(attempt(), { scopes: ['a', 'b'] })).rejects.toThrow(message)
  })
})

describe('assertConnectLink', () => {
  it.each<[string, () => unknown]>([
    ['the error of a tool', () => linkResult(`Open this link, then try again: ${link}`)],
    ['a response', () => Response.json({ result: linkResult(`Open ${link}`) })],
    ['a stream', () => new Response(`data: ${JSON.stringify({ result: linkResult(`Open ${link}`) })}\n\n`)],
    [
      'a URL elicitation that is required',
      () =>
        Promise.reject(
          Object.assign(new Error('m'), { code: -32042, data: { elicitations: [{ url: link }] } }),
        ),
    ],
    [
      'a round that waits for the user',
      () => ({ resultType: 'input_required', inputRequests: { a: { params: { mode: 'url', url: link } } } }),
    ],
  ])('finds the link in %s', async (_, attempt) => {
    expect(await assertConnectLink(attempt(), { provider: 'google' })).toBe(link)
  })

  it.each<[string, () => unknown]>([
    ['a result without one', () => linkResult('No.')],
    ['the link of another provider', () => linkResult(link.replace('google', 'linkedin'))],
    ['a success that happens to have one', () => ({ content: [{ type: 'text', text: link }] })],
  ])('fails on %s', async (_, attempt) => {
    await expect(assertConnectLink(attempt(), { provider: 'google' })).rejects.toThrow(
      /^Expected a link to connect google, but there was a result/,
    )
  })
})
