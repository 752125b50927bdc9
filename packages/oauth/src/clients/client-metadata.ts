import type { JWK } from 'jose'
import { z } from 'zod'
import { OAuthError } from '../errors.ts'
import { jwtBearerGrantType } from '../protocol/grant-types.ts'
import { isLoopbackRedirectUri, redirectUriProblem } from '../protocol/redirect-uri.ts'
import { type AssertionAlgorithm, assertionAlgorithms } from './assertion-algorithms.ts'
import { isDocumentLocation } from './document-fetch.ts'

/**
 * What we keep of client metadata (RFC 7591 §2), as it is on the wire. Everything else a client sends is ignored:
 * its `client_id`, secrets and privileges (R15), its `software_statement` (R26), its logo (R31). Its `scope` too:
 * clients register the scopes of the first challenge they met, and keep that for ever. As anyone may register anew
 * with others, it would limit nobody but a user whose next tool needs one scope more.
 */
export interface ClientMetadata {
  redirect_uris: string[]
  /** OpenID Connect RP-Initiated Logout §3.1. */
  post_logout_redirect_uris?: string[] | undefined
  client_name?: string | undefined
  client_uri?: string | undefined
  policy_uri?: string | undefined
  tos_uri?: string | undefined
  grant_types: string[]
  response_types: string[]
  token_endpoint_auth_method: 'none' | 'client_secret_basic' | 'client_secret_post' | 'private_key_jwt'
  /** Of a client with `private_key_jwt`, and of no other: where its keys are, and its one algorithm. */
  jwks?: { keys: JWK[] } | undefined
  jwks_uri?: string | undefined
  token_endpoint_auth_signing_alg?: AssertionAlgorithm | undefined
  /** RFC 9449 §5.2; absent when false. */
  dpop_bound_access_tokens?: true | undefined
  application_type?: 'web' | 'native' | undefined
}

/** All a client can be registered for. One that names none gets both: users of a client that never heard of refresh
 * should not have to sign in again either. */
export const registrableGrantTypes: readonly string[] = ['authorization_code', 'refresh_token']

/** What else it can be registered for, when it has keys and the server takes such assertions (R127). */
const keyHolderGrantTypes: readonly string[] = [jwtBearerGrantType]

const maxTextLength = 200
const maxUriLength = 2000
const maxRedirectUris = 20
const maxKeys = 20
const minimumRsaBits = 2048

/**
 * Characters that make text look like other text: controls, line breaks, bidi and other invisible marks, private
 * use and lone surrogates (R17). The two joiners stay: Persian and Indic names need them.
 */
const deceptive = /[\p{Cc}\p{Zl}\p{Zp}\p{Co}\p{Cs}]|(?![\u200c\u200d])\p{Cf}/u

const text = (name: string) =>
  z
    .string({ error: `The member ${name} must be a string.` })
    .max(maxTextLength, { error: `The member ${name} is longer than ${maxTextLength} characters.` })
    .refine(value => !deceptive.test(value), {
      error: `The member ${name} holds control or invisible characters.`,
    })

const webUri = (name: string) =>
  z
    .string({ error: `The member ${name} must be a string.` })
    .max(maxUriLength, { error: `The member ${name} is longer than ${maxUriLength} characters.` })
    .refine(isWebUri, { error: `The member ${name} must be an absolute http or https URL.` })

/** R17; `z.url()` accepts `javascript:`, `data:`, line breaks and leading spaces (measured). */
function isWebUri(value: string): boolean {
  return (
    /^https?:\/\/[^/?#@]+(?:[/?#][^\s]*)?$/.test(value) &&
    !/[^\x21-\x7e]|["<>\\^`{|}]/.test(value) &&
    URL.canParse(value)
  )
}

const list = (name: string) =>
  z.array(z.string(), { error: `The member ${name} must be a list of strings.` }).optional()

const privateMembers: readonly string[] = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

/** A key of a client's `jwks`: public, asymmetric, not too small (R18). */
const publicJwk = z
  .looseObject({ kty: z.enum(['RSA', 'EC', 'OKP']) })
  .refine(jwk => !privateMembers.some(member => member in jwk))
  .refine(jwk => jwk.kty !== 'RSA' || modulusBits(jwk.n) >= minimumRsaBits)

/** What a verifier needs of a public key. */
const keyMembers: readonly string[] = ['kty', 'crv', 'x', 'y', 'n', 'e', 'kid', 'alg', 'use']
const verificationKey = (jwk: Readonly<Record<string, unknown>>): JWK =>
  Object.fromEntries(keyMembers.filter(name => typeof jwk[name] === 'string').map(name => [name, jwk[name]]))

const jwkSet = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(maxKeys) })

/**
 * The keys of a client's own JWK set that it can be verified with: unknown kinds and keys that are too small are left
 * out. Undefined when it is no JWK set, or gives a private or symmetric key away (R18).
 */
export function publicJwks(document: unknown): JWK[] | undefined {
  const parsed = jwkSet.safeParse(document)
  if (!parsed.success) return undefined
  const { keys } = parsed.data
  if (keys.some(jwk => privateMembers.some(member => member in jwk))) return undefined
  return keys.filter(jwk => publicJwk.safeParse(jwk).success).map(verificationKey)
}

function modulusBits(n: unknown): number {
  const hex = typeof n === 'string' ? Buffer.from(n, 'base64url').toString('hex').replace(/^0+/, '') : ''
  return hex === '' ? 0 : BigInt(`0x${hex}`).toString(2).length
}

/** Shown to the user or fetched, and followed by `#` and a language also allowed (RFC 7591 §2.2). */
const localizable: Readonly<Record<string, z.ZodType>> = {
  client_name: text('client_name'),
  client_uri: webUri('client_uri'),
  logo_uri: webUri('logo_uri'),
  policy_uri: webUri('policy_uri'),
  tos_uri: webUri('tos_uri'),
  jwks_uri: webUri('jwks_uri'),
}

const metadataSchema = z.object({
  redirect_uris: z.array(z.string()).min(1).max(maxRedirectUris),
  client_name: text('client_name').optional(),
  client_uri: webUri('client_uri').optional(),
  policy_uri: webUri('policy_uri').optional(),
  tos_uri: webUri('tos_uri').optional(),
  grant_types: list('grant_types'),
  response_types: list('response_types'),
  token_endpoint_auth_method: z
    .enum(['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'], {
      error:
        'The token_endpoint_auth_method must be none, client_secret_basic, client_secret_post or private_key_jwt.',
    })
    .default('client_secret_basic'),
  post_logout_redirect_uris: list('post_logout_redirect_uris'),
  application_type: z
    .enum(['web', 'native'], { error: 'The application_type must be web or native.' })
    .optional(),
  dpop_bound_access_tokens: z
    .boolean({ error: 'The member dpop_bound_access_tokens must be true or false.' })
    .default(false),
  jwks_uri: z.string().optional(),
  token_endpoint_auth_signing_alg: z.string().optional(),
  jwks: z.object({ keys: z.array(publicJwk).max(maxKeys) }).optional(),
})

/**
 * Checks client metadata and fills in the defaults; what it returns is what gets registered (R16–R19, R24).
 *
 * @param document the JSON object as it came; members that are null or empty count as absent, as real clients send them
 * @param options.schemes private-use redirect URI schemes without a dot, besides the built-in ones
 * @param options.identityAssertions whether the server takes them. Default false
 * @throws {OAuthError} `invalid_redirect_uri`, `invalid_client_metadata` with a sentence for the client's developer
 */
export function parseClientMetadata(
  document: Readonly<Record<string, unknown>>,
  { schemes, identityAssertions = false }: { schemes: readonly string[]; identityAssertions?: boolean },
): ClientMetadata {
  const members = Object.entries(document).filter(([, value]) => value !== null && value !== '')
  for (const [name, value] of members) {
    const schema = localizable[name.split('#', 1)[0]!]
    if (schema) parseWith(schema, value)
  }
  const parsed = parseWith(metadataSchema, Object.fromEntries(members))
  if (parsed.jwks && parsed.jwks_uri !== undefined) {
    throw invalidMetadata('The members jwks and jwks_uri exclude each other.')
  }
  const redirectUris = [...new Set(parsed.redirect_uris)]
  for (const uri of redirectUris) {
    const problem = redirectUriProblem(uri, { schemes })
    if (problem !== undefined) throw new OAuthError('invalid_redirect_uri', problem)
  }
  const logoutUris = [...new Set(parsed.post_logout_redirect_uris ?? [])]
  if (
    logoutUris.length > maxRedirectUris ||
    logoutUris.some(uri => redirectUriProblem(uri, { schemes }) !== undefined)
  ) {
    throw invalidMetadata(
      `The member post_logout_redirect_uris must list at most ${maxRedirectUris} URIs that could be redirect URIs.`,
    )
  }
  assertApplicationType(parsed.application_type, redirectUris)
  return {
    redirect_uris: redirectUris,
    ...(logoutUris.length > 0 && { post_logout_redirect_uris: logoutUris }),
    client_name: parsed.client_name,
    client_uri: parsed.client_uri,
    policy_uri: parsed.policy_uri,
    tos_uri: parsed.tos_uri,
    grant_types: registeredGrantTypes(
      parsed.grant_types,
      identityAssertions && parsed.token_endpoint_auth_method === 'private_key_jwt'
        ? [...registrableGrantTypes, ...keyHolderGrantTypes]
        : registrableGrantTypes,
    ),
    response_types: registeredResponseTypes(parsed.response_types),
    token_endpoint_auth_method: parsed.token_endpoint_auth_method,
    application_type: parsed.application_type,
    ...(parsed.dpop_bound_access_tokens && { dpop_bound_access_tokens: true }),
    ...(parsed.token_endpoint_auth_method === 'private_key_jwt' && assertionMembers(parsed)),
  }
}

/** Where the keys of a `private_key_jwt` client are, and its algorithm; other clients' keys are of no use to us. */
function assertionMembers(
  metadata: z.infer<typeof metadataSchema>,
): Pick<ClientMetadata, 'jwks' | 'jwks_uri' | 'token_endpoint_auth_signing_alg'> {
  const { jwks, jwks_uri, token_endpoint_auth_signing_alg: wanted } = metadata
  const algorithm = assertionAlgorithms.find(name => name === wanted)
  if (wanted !== undefined && algorithm === undefined) {
    throw invalidMetadata(
      `The token_endpoint_auth_signing_alg must be one of ${assertionAlgorithms.join(', ')}.`,
    )
  }
  if (!jwks?.keys.length && jwks_uri === undefined) {
    throw invalidMetadata('The method private_key_jwt needs the member jwks or jwks_uri.')
  }
  // Whether loopback will do is decided when it is fetched.
  if (jwks_uri !== undefined && !isDocumentLocation(jwks_uri, { allowLoopback: true })) {
    throw invalidMetadata('The member jwks_uri must be an https URL without port, user or fragment.')
  }
  return {
    ...(jwks_uri === undefined ? { jwks: { keys: jwks!.keys.map(verificationKey) } } : { jwks_uri }),
    ...(algorithm && { token_endpoint_auth_signing_alg: algorithm }),
  }
}

function parseWith<Value>(schema: z.ZodType<Value>, value: unknown): Value {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  switch (issue?.path[0]) {
    case 'redirect_uris':
      throw new OAuthError(
        'invalid_redirect_uri',
        `The member redirect_uris must list 1 to ${maxRedirectUris} strings.`,
      )
    case 'jwks':
      throw invalidMetadata(
        `The member jwks must hold public keys only, RSA of at least ${minimumRsaBits} bits.`,
      )
    default:
      throw invalidMetadata(issue?.message ?? 'The client metadata is not valid.')
  }
}

/**
 * What we do not offer is left out, and the client sees so in the answer (RFC 7591 §3.2.1): clients list the grants
 * they know, such as the device grant. Without authorization codes, nothing would be left (R19).
 */
function registeredGrantTypes(requested: readonly string[] = [], possible: readonly string[]): string[] {
  if (requested.length === 0) return [...registrableGrantTypes]
  if (!requested.includes('authorization_code')) {
    throw invalidMetadata('The member grant_types must include authorization_code.')
  }
  return possible.filter(grantType => requested.includes(grantType))
}

function registeredResponseTypes(requested: readonly string[] = []): string[] {
  if (requested.length > 0 && !requested.includes('code')) {
    throw invalidMetadata('The member response_types must include code.')
  }
  return ['code']
}

/**
 * R24 (OpenID Connect Registration §2). A native client may have https URIs too, as long as it has one of its own:
 * RFC 8252 §7.2 lets apps claim https URIs, and the MCP SDK calls every mixed set native.
 */
function assertApplicationType(type: 'web' | 'native' | undefined, redirectUris: readonly string[]): void {
  const isWeb = (uri: string) => uri.startsWith('https:') && !isLoopbackRedirectUri(uri)
  if (type === 'web' && !redirectUris.every(isWeb)) {
    throw new OAuthError(
      'invalid_redirect_uri',
      'The redirect URIs of a web client must be https, not on loopback.',
    )
  }
  if (type === 'native' && redirectUris.every(isWeb)) {
    throw new OAuthError(
      'invalid_redirect_uri',
      'A native client must have a redirect URI on loopback or with a private-use scheme.',
    )
  }
}

function invalidMetadata(description: string): OAuthError {
  return new OAuthError('invalid_client_metadata', description)
}
