import type Provider from 'oidc-provider'
import { accounts } from './accounts.ts'
import type { ControlState } from './control.ts'
import type { ProofGate } from './dpop.ts'
import { kinds } from './kinds.ts'
import { adaptCallback, adaptTokenReply } from './quirks.ts'
import { dateAhead } from './signing-key.ts'
import type { UpstreamOptions } from './upstream.ts'

/** Header that a proof goes on in once it is accepted. */
export const acceptedProof = 'x-accepted-proof'

/** Makes the answers of `oidc-provider` those of the provider it stands in for, and keeps the secrets in them. */
export function adaptAnswers(
  provider: Provider,
  { kind, redirectUris }: Pick<UpstreamOptions, 'kind' | 'redirectUris'>,
  { state, proofs, userinfo }: { state: ControlState; proofs: ProofGate; userinfo: string },
): void {
  const { paths } = kinds[kind]
  provider.use(async (ctx, next) => {
    await next()
    if (ctx.path === paths.token && typeof ctx.body === 'object' && ctx.body !== null) {
      const reply = ctx.body as Record<string, unknown>
      if (typeof reply.id_token === 'string' && state.aheadSeconds() > 0)
        reply.id_token = await dateAhead(reply.id_token, state.aheadSeconds())
      for (const name of ['access_token', 'refresh_token', 'id_token'] as const) state.keep(name, reply[name])
      const grantType = ctx.oidc?.params?.grant_type
      const proof = ctx.req.headers[acceptedProof]
      if (proof !== undefined) {
        if (typeof reply.refresh_token === 'string') await proofs.bind(reply.refresh_token, String(proof))
        ctx.set('dpop-nonce', proofs.nonceFor(String(grantType)))
      }
      const sub = ctx.oidc?.entities?.Account?.accountId
      const status = adaptTokenReply(kind, {
        grantType: typeof grantType === 'string' ? grantType : undefined,
        reply,
        account: accounts.find(account => account.sub === sub),
        refreshTokenSecondsLeft() {
          const { exp } = ctx.oidc.entities.RefreshToken ?? {}
          return exp === undefined ? undefined : exp - Math.floor(Date.now() / 1000)
        },
      })
      if (status !== undefined) ctx.status = status
      // Unless it is asked for JSON, GitHub answers with a form.
      if (kind === 'github' && !ctx.get('accept').includes('json')) {
        ctx.body = new URLSearchParams(reply as Record<string, string>).toString()
        ctx.type = 'application/x-www-form-urlencoded'
      }
      await state.holdReply(ctx.res)
    }
    if (ctx.path === '/.well-known/openid-configuration') {
      Object.assign(ctx.body as object, { userinfo_endpoint: userinfo })
    }
    const location = ctx.response.get('location') ?? ''
    if (redirectUris.some(uri => location.startsWith(uri))) {
      const callback = new URL(location)
      state.keep('code', callback.searchParams.get('code'))
      adaptCallback(kind, callback)
      ctx.set('location', callback.href)
      // It keeps no session: the next account would first have to be signed out, by a form that needs scripts.
      const cookies = [ctx.res.getHeader('set-cookie') ?? []].flat().map(String)
      ctx.res.setHeader(
        'set-cookie',
        cookies.filter(cookie => !cookie.startsWith('_session')),
      )
    }
  })
}
