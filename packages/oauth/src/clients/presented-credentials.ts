import { OAuthError } from '../errors.ts'
import type { Parameters } from '../protocol/parameters.ts'

/** Who a request says it comes from, and what it shows for it; nothing of it is proven yet. */
export type PresentedCredentials =
  | {
      method: 'none' | 'client_secret_basic' | 'client_secret_post'
      clientId: string | undefined
      clientSecret: string | undefined
    }
  | { method: 'private_key_jwt'; clientId: string | undefined; assertion: string }

/** RFC 7523 §2.2 */
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/**
 * The credentials of a request; undefined when they are malformed or of a kind that is not supported.
 *
 * @throws {OAuthError} `invalid_request` when there is more than one method (R84)
 */
export function presentedCredentials(
  authorization: string | null,
  parameters: Pick<Parameters, 'get'>,
): PresentedCredentials | undefined {
  const clientId = parameters.get('client_id')
  const clientSecret = parameters.get('client_secret')
  const assertion = parameters.get('client_assertion')
  const type = parameters.get('client_assertion_type')
  const hasAssertion = assertion !== undefined || type !== undefined
  const methods = [authorization !== null, clientSecret !== undefined, hasAssertion].filter(Boolean)
  if (methods.length > 1) {
    throw new OAuthError('invalid_request', 'The request uses more than one way of client authentication.')
  }
  if (hasAssertion) {
    // R116: the type byte for byte; half of an assertion is none.
    return assertion !== undefined && type === assertionType
      ? { method: 'private_key_jwt', clientId, assertion }
      : undefined
  }
  if (authorization === null) {
    return { method: clientSecret === undefined ? 'none' : 'client_secret_post', clientId, clientSecret }
  }
  const basic = parseBasic(authorization)
  // Some clients name themselves in the body too; naming somebody else is asking for trouble.
  if (basic && clientId !== undefined && clientId !== basic.clientId) {
    throw new OAuthError('invalid_request', 'The client_id differs from that of the Authorization header.')
  }
  return basic && { method: 'client_secret_basic', ...basic }
}

/**
 * The one answer to all that does not authenticate (R87). 401 it has to be: it makes clients register again, where
 * 400 would leave them stuck.
 *
 * @param hasAuthorization whether the request had an Authorization header, which wants a challenge (RFC 6749 §5.2)
 */
export function invalidClient(hasAuthorization: boolean, cause?: unknown): OAuthError {
  return new OAuthError(
    'invalid_client',
    'The client is unknown or did not authenticate as it is registered.',
    {
      headers: hasAuthorization ? { 'WWW-Authenticate': 'Basic realm="oauth"' } : {},
      cause,
    },
  )
}

/**
 * Credentials of a Basic header; undefined when it is malformed (R86). Both parts are form-encoded before they are
 * joined (RFC 6749 §2.3.1), so the first colon is the separator and the secret may hold more.
 */
function parseBasic(authorization: string): { clientId: string; clientSecret: string } | undefined {
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization.trim())?.[1]
  if (encoded === undefined || encoded.replace(/=+$/, '').length % 4 === 1) return undefined
  try {
    const decoded = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(encoded, 'base64'))
    const colon = decoded.indexOf(':')
    if (colon < 1) return undefined
    return {
      clientId: decodeFormComponent(decoded.slice(0, colon)),
      clientSecret: decodeFormComponent(decoded.slice(colon + 1)),
    }
  } catch {
    return undefined
  }
}

const decodeFormComponent = (text: string) => decodeURIComponent(text.replaceAll('+', ' '))
