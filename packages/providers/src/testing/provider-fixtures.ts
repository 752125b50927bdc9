import type { Provider } from '@sallyport/mcp-server'
import type { ProviderEndpoints } from '../provider-definition.ts'
import type { ErrorClass } from '../upstream-error.ts'
import type { SeenRequest } from './fake-upstream.ts'

/** One reply of a vendor, as its documentation or a trace shows it. */
export interface RecordedReply {
  /** Default 200. */
  status?: number
  headers?: Record<string, string>
  /** JSON when an object. */
  body?: object | string
}

/** A refusal of the token endpoint, and what it must be taken for. */
export interface RecordedRefusal extends RecordedReply {
  errorClass: ErrorClass
  /** Wait that the reply asks for, at 1 800 000 000 seconds since the epoch. */
  retryAfterSeconds?: number
}

/** How one vendor answers. A reply whose body has `id_token` gets one signed for the claims. */
export interface ProviderFixtures {
  /** Provider scopes that a tool needs. */
  scopes: readonly string[]
  /** Parameters of the authorization request, besides client id, state and the like; null: must not be sent. */
  authorization: Readonly<Record<string, string | null>>
  /** How client and parameters reach the token endpoint. */
  tokenRequest: { authentication: 'basic' | 'post'; body: 'form' | 'json' }
  /** The reply to a code, and what is in it. */
  connected: RecordedReply
  accessToken: string
  /** Absent: the vendor gives none. */
  refreshToken?: string
  /** Life of the access token; 0: it does not end by itself. */
  accessSeconds: number
  /** How the API says that a token is no good. Default: HTTP 401. */
  rejected?: RecordedReply
  /** Claims of the id_token; null takes a usual one away. Absent: there is no id_token. */
  claims?: (origin: string) => Record<string, unknown>
  /** What the vendor says about the account, where an endpoint is asked. */
  userinfo?: object
  /** Who that is. */
  identity: { issuer: (origin: string) => string; subject: string }
  /** A discovery document, where one is read. */
  discovery?: (origin: string) => object
  /** A reply that grants less: one of `scopes` is missing. Absent: the vendor grants all or nothing. */
  narrower?: RecordedReply
  /** The reply to a refresh; a vendor that rotates has another refresh token in it. */
  refreshed?: { reply: RecordedReply; accessToken: string; refreshToken: string }
  /** At least one for each class that the vendor has a reply for. */
  refusals: readonly RecordedRefusal[]
  /** Value of `error` in the callback of a user who declined. */
  denied: string
  /** How a grant is taken back. Absent: the vendor has no way to. */
  revocation?: {
    /** Whether the request at `/revoke` is what the vendor wants. */
    request: (request: SeenRequest, tokens: { accessToken: string; refreshToken?: string }) => void
    done: RecordedReply
    /** Replies that mean that nothing was left to take back. */
    gone: readonly RecordedReply[]
    /** Whether an access token that has ended must be refreshed first. */
    needsLiveToken?: boolean
  }
}

export interface ProviderUnderTest {
  name: string
  /** The provider with these credentials, and with all its addresses on this origin. */
  create(at: {
    origin: string
    endpoints: ProviderEndpoints
    clientId: string
    clientSecret: string
  }): Provider
  fixtures: ProviderFixtures
}
