import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Hono } from 'hono'
import { html } from 'hono/html'
import { exportJWK, generateKeyPair, importJWK, type JWK, jwtVerify, SignJWT } from 'jose'
import { z } from 'zod'

/**
 * "Demo Cloud": a small OpenID provider with an API, standing in for Google so that the quickstart needs no
 * credentials. It runs inside the quickstart and is for trying things out only: it asks for no password.
 * Its tokens are signed and nothing else is kept, so they survive a restart.
 */
export interface DemoProvider {
  app: Hono
  issuer: string
  clientId: string
  clientSecret: string
}

/** Access tokens end soon, so that a refresh can be seen happening. */
const accessTokenSeconds = 120

const keyFile = z.object({ privateJwk: z.record(z.string(), z.unknown()), clientSecret: z.string() })

async function loadKey(directory: string): Promise<z.infer<typeof keyFile>> {
  const path = join(directory, 'demo-provider.json')
  try {
    return keyFile.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch {
    const { privateKey } = await generateKeyPair('ES256', { extractable: true })
    const made = {
      privateJwk: { ...(await exportJWK(privateKey)) },
      clientSecret: randomBytes(24).toString('base64url'),
    }
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await writeFile(path, JSON.stringify(made), { mode: 0o600 })
    return made
  }
}

/** Starts Demo Cloud for one client, whose redirect URI is `redirectUri`; its key is kept in `directory`. */
export async function createDemoProvider(options: {
  issuer: string
  redirectUri: string
  directory: string
}): Promise<DemoProvider> {
  const { issuer, redirectUri } = options
  const clientId = 'quickstart'
  const { privateJwk, clientSecret } = await loadKey(options.directory)
  const privateKey = await importJWK(privateJwk as JWK, 'ES256')
  const { d: _, ...publicJwk } = privateJwk
  const publicKey = await importJWK(publicJwk as JWK, 'ES256')
  const usedCodes = new Set<string>()

  const sign = (typ: string, claims: Record<string, unknown>, seconds: number) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', typ, kid: 'demo' })
      .setIssuer(issuer)
      .setIssuedAt()
      .setJti(randomBytes(16).toString('base64url'))
      .setExpirationTime(`${seconds}s`)
      .sign(privateKey)
  const read = async (typ: string, token: string) =>
    (await jwtVerify(token, publicKey, { typ, issuer, algorithms: ['ES256'] })).payload

  async function tokens(sub: string, refreshes: number, nonce?: unknown) {
    const claims = { sub, refreshes }
    return {
      access_token: await sign('demo-access', claims, accessTokenSeconds),
      token_type: 'Bearer',
      expires_in: accessTokenSeconds,
      refresh_token: await sign('demo-refresh', claims, 30 * 86_400),
      scope: 'openid profile',
      id_token: await sign('JWT', { sub, name: sub, aud: clientId, ...(nonce ? { nonce } : {}) }, 600),
    }
  }

  const app = new Hono()
  app.get('/.well-known/openid-configuration', c =>
    c.json({
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/jwks`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
      scopes_supported: ['openid', 'profile'],
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
      code_challenge_methods_supported: ['S256'],
    }),
  )
  app.get('/jwks', c => c.json({ keys: [{ ...publicJwk, kid: 'demo', alg: 'ES256', use: 'sig' }] }))

  app.get('/authorize', c => {
    const { client_id, redirect_uri, code_challenge, code_challenge_method } = c.req.query()
    const known = client_id === clientId && redirect_uri === redirectUri && code_challenge
    if (!known || code_challenge_method !== 'S256')
      return c.text('Demo Cloud does not know this request.', 400)
    c.header(
      'Content-Security-Policy',
      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    )
    c.header('Referrer-Policy', 'no-referrer')
    return c.html(page)
  })
  app.post('/authorize', async c => {
    const { code_challenge, nonce, state } = c.req.query()
    const { name, answer } = z.object({ name: z.string(), answer: z.string() }).parse(await c.req.parseBody())
    const back = new URL(redirectUri)
    if (state) back.searchParams.set('state', state)
    if (answer === 'allow') {
      const sub = name.trim().slice(0, 60) || 'Ada Lovelace'
      back.searchParams.set('code', await sign('demo-code', { sub, nonce, code_challenge }, 60))
    } else back.searchParams.set('error', 'access_denied')
    return c.redirect(back.href, 303)
  })

  app.post('/token', async c => {
    const form = await c.req.parseBody()
    const [id, secret] = basicCredentials(c.req.header('authorization')) ?? [
      form.client_id,
      form.client_secret,
    ]
    if (id !== clientId || secret !== clientSecret) return c.json({ error: 'invalid_client' }, 401)
    try {
      if (form.grant_type === 'refresh_token') {
        const { sub, refreshes } = await read('demo-refresh', String(form.refresh_token))
        return c.json(await tokens(String(sub), Number(refreshes) + 1))
      }
      const { sub, nonce, code_challenge, jti } = await read('demo-code', String(form.code))
      const challenge = createHash('sha256').update(String(form.code_verifier)).digest('base64url')
      if (challenge !== code_challenge || usedCodes.has(String(jti)))
        return c.json({ error: 'invalid_grant' }, 400)
      usedCodes.add(String(jti))
      return c.json(await tokens(String(sub), 0, nonce))
    } catch {
      return c.json({ error: 'invalid_grant' }, 400)
    }
  })

  app.get('/api/profile', async c => {
    try {
      const token = (c.req.header('authorization') ?? '').replace(/^Bearer /, '')
      const { sub, refreshes, iat } = await read('demo-access', token)
      return c.json({
        name: sub,
        plan: 'Demo Cloud Free',
        tokenIssuedAt: new Date(Number(iat) * 1000),
        refreshes,
      })
    } catch {
      return c.json({ error: 'invalid_token' }, 401)
    }
  })
  return { app, issuer, clientId, clientSecret }
}

function basicCredentials(header: string | undefined): [string, string] | undefined {
  const encoded = /^Basic (.+)$/i.exec(header ?? '')?.[1]
  if (!encoded) return undefined
  const [id = '', secret = ''] = Buffer.from(encoded, 'base64').toString().split(':').map(decodeURIComponent)
  return [id, secret]
}

const page = html`<!doctype html>
<html lang="en">
  <meta charset="utf-8" />
  <meta name="viewport" content="width=device-width, initial-scale=1" />
  <title>Demo Cloud</title>
  <style>
    :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
    body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: light-dark(#eef4f1, #10201a) }
    main { box-sizing: border-box; width: min(26rem, 100vw - 2rem); padding: 2rem; border-radius: 1rem; background: light-dark(#fff, #1a2d26) }
    h1 { margin: 0 0 .5rem; font-size: 1.4rem }
    label, input { display: block; width: 100%; box-sizing: border-box }
    input { margin: .25rem 0 1.25rem; padding: .65rem; font: inherit; border: 1px solid #7a8f86; border-radius: .5rem }
    button { font: inherit; min-height: 2.75rem; padding: 0 1.25rem; border-radius: .5rem; border: 1px solid #1d7a54; background: none; color: inherit }
    button[value=allow] { background: #1d7a54; color: #fff; font-weight: 600 }
    button:focus-visible, input:focus-visible { outline: 3px solid #56b68b; outline-offset: 2px }
  </style>
  <main>
    <h1>Demo Cloud</h1>
    <p>The quickstart wants to read your <strong>profile</strong>.</p>
    <p>Demo Cloud stands in for a service like Google. It lives inside the quickstart and asks for no password.</p>
    <form method="post">
      <label for="name">Your name at Demo Cloud</label>
      <input id="name" name="name" value="Ada Lovelace" maxlength="60" autocomplete="name" />
      <button name="answer" value="allow">Allow</button>
      <button name="answer" value="deny">Deny</button>
    </form>
  </main>
</html>`
