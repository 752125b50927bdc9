import { LRUCache } from 'lru-cache'
import { ConfigurationError } from '../errors.ts'
import type { SecretRing } from '../keys/secret-ring.ts'
import { jwtBearerGrantType } from '../protocol/grant-types.ts'
import { sha256 } from '../protocol/hash.ts'
import { isPrivateUseScheme, redirectUriProblem } from '../protocol/redirect-uri.ts'
import { parseScope } from '../protocol/scope.ts'
import type { Clock } from '../runtime.ts'
import type { ClientStore } from '../storage/store.ts'
import type { Client, ClientResolver, ConfiguredClient } from './client.ts'
import type { MetadataDocuments } from './client-id-metadata-document.ts'
import { type ClientMetadata, publicJwks, registrableGrantTypes } from './client-metadata.ts'
import { isDocumentLocation } from './document-fetch.ts'
import { isVisible, secretComparison, secretProblem } from './hashed-secret.ts'
import { isRegisteredClientSecret, unpackClientId } from './registered-client.ts'

export interface ClientResolverOptions {
  configured: readonly ConfiguredClient[]
  secrets: SecretRing
  store: Pick<ClientStore, 'isClientDeleted'>
  clock: Clock
  /** Undefined when client ID metadata documents are off. */
  documents?: MetadataDocuments | undefined
  /** Whether clients that registered themselves are known. */
  dynamicRegistration: boolean
  /** Private-use redirect URI schemes without a dot, besides the built-in ones. */
  schemes: readonly string[]
}

/** Registered clients that are remembered; a few kilobytes each. */
const registeredCacheSize = 1_000

/**
 * Makes the resolver: configured clients, then metadata documents, then registrations of our own. A tombstone ends
 * a client whatever its kind (R21, R79).
 *
 * @throws {ConfigurationError} when a configured client or scheme cannot work
 */
export function createClientResolver(options: ClientResolverOptions): ClientResolver {
  const { configured, secrets, store, clock, documents, dynamicRegistration, schemes } = options
  const badScheme = schemes.find(scheme => !isPrivateUseScheme(scheme))
  if (badScheme !== undefined) {
    throw new ConfigurationError(
      `The option redirectUriSchemes holds ${JSON.stringify(badScheme)}: name private-use schemes in lower case, without a colon.`,
    )
  }
  const byId = new Map<string, Client>()
  for (const client of configured) {
    if (byId.has(client.clientId)) throw invalidClient(client, 'is configured twice: keep one of them')
    byId.set(client.clientId, checkedClient(client, schemes))
  }
  // A scheme that the deployer has taken off the list is off it for clients of yesterday too.
  const allowedRedirectUris = (uris: readonly string[]) =>
    uris.filter(uri => redirectUriProblem(uri, { schemes }) === undefined)
  const stranger = (
    clientId: string,
    kind: Client['kind'],
    metadata: ClientMetadata,
    isSecret?: Client['isSecret'],
  ): Client => ({
    clientId,
    kind,
    clientName: metadata.client_name,
    clientUri: metadata.client_uri,
    policyUri: metadata.policy_uri,
    tosUri: metadata.tos_uri,
    redirectUris: allowedRedirectUris(metadata.redirect_uris),
    postLogoutRedirectUris: allowedRedirectUris(metadata.post_logout_redirect_uris ?? []),
    grantTypes: metadata.grant_types,
    tokenEndpointAuthMethod: metadata.token_endpoint_auth_method,
    dpopBoundAccessTokens: metadata.dpop_bound_access_tokens,
    scopes: undefined,
    isSecret,
    assertion: assertionOf(metadata),
  })
  // A client_id carries its own proof, which holds as long as the ring: only what was proven gets in, and whether the
  // client was deleted is asked each time.
  const registered = new LRUCache<string, Client>({ max: registeredCacheSize })
  const findRegistered = (clientId: string): Client | undefined => {
    const known = registered.get(clientId)
    if (known) return known
    const metadata = unpackClientId(secrets, clientId)
    if (!metadata) return undefined
    const isSecret = metadata.token_endpoint_auth_method.startsWith('client_secret_')
      ? (presented: string) => isRegisteredClientSecret(secrets, clientId, presented)
      : undefined
    const client = stranger(clientId, 'registered', metadata, isSecret)
    registered.set(clientId, client)
    return client
  }
  const isDeleted = (clientId: string) =>
    store.isClientDeleted({ clientIdHash: sha256(clientId), now: clock() })

  return {
    async isKnown(clientId) {
      const canBe =
        byId.has(clientId) ||
        documents?.isDocumentUrl(clientId) === true ||
        (dynamicRegistration && unpackClientId(secrets, clientId) !== undefined)
      return canBe && !(await isDeleted(clientId))
    },
    async resolveClient(clientId) {
      const known = byId.get(clientId)
      if (known) return (await isDeleted(clientId)) ? undefined : known
      if (documents?.isDocumentUrl(clientId)) {
        // Before the fetch: a deleted client causes none.
        if (await isDeleted(clientId)) return undefined
        const metadata = await documents.findMetadata(clientId)
        return metadata && stranger(clientId, 'metadata-document', metadata)
      }
      const client = dynamicRegistration ? findRegistered(clientId) : undefined
      // No look into the store for what is not ours: guessing costs us no I/O.
      return client && !(await isDeleted(clientId)) ? client : undefined
    },
  }
}

/** Where a client with keys has them. A registration is checked when it is made. */
function assertionOf(metadata: ClientMetadata): Client['assertion'] {
  const { jwks, jwks_uri, token_endpoint_auth_signing_alg: algorithm } = metadata
  if (!jwks && jwks_uri === undefined) return undefined
  return {
    keys: jwks ? { jwks: jwks.keys } : { jwksUri: jwks_uri! },
    algorithm,
    acceptTokenEndpointAudience: false,
  }
}

function checkedClient(client: ConfiguredClient, schemes: readonly string[]): Client {
  const { clientId, clientSecret, redirectUris = [], scopes, grantTypes = registrableGrantTypes } = client
  const hasKeys = client.jwks !== undefined || client.jwksUri !== undefined
  const { postLogoutRedirectUris = [] } = client
  const method =
    client.tokenEndpointAuthMethod ??
    (hasKeys ? 'private_key_jwt' : clientSecret === undefined ? 'none' : 'client_secret_basic')
  if (!isVisible(clientId) || clientId.startsWith('dcr.')) {
    throw invalidClient(client, 'needs an id of printable ASCII that does not start with dcr.')
  }
  const needsSecret = method === 'client_secret_basic' || method === 'client_secret_post'
  if (!needsSecret && clientSecret !== undefined) {
    throw invalidClient(
      client,
      `has a clientSecret but tokenEndpointAuthMethod ${method}: remove one of them`,
    )
  }
  if (needsSecret && clientSecret === undefined) {
    throw invalidClient(client, `has no clientSecret, which ${method} needs: add one or use none`)
  }
  const badSecret = clientSecret === undefined ? undefined : secretProblem(clientSecret, 'clientSecret')
  if (badSecret !== undefined) throw invalidClient(client, badSecret)
  if (method === 'private_key_jwt' ? !hasKeys : hasKeys) {
    throw invalidClient(client, 'needs jwks or jwksUri for private_key_jwt, and for nothing else')
  }
  const possible = [...registrableGrantTypes, 'client_credentials', jwtBearerGrantType]
  if (!grantTypes.every(name => possible.includes(name))) {
    throw invalidClient(client, `can have the grantTypes ${possible.join(', ')} only`)
  }
  // R113, R127: whoever knows a public client's id could be it.
  const confidential = grantTypes.find(name => !registrableGrantTypes.includes(name))
  if (confidential !== undefined && method === 'none') {
    throw invalidClient(client, `needs a secret or keys for ${confidential}`)
  }
  if (grantTypes.includes('client_credentials')) {
    // R114: what it may have is said here, and nowhere else.
    if (!scopes) throw invalidClient(client, 'needs scopes for client_credentials: list what it may have')
  }
  if (grantTypes.includes('authorization_code') && redirectUris.length === 0) {
    throw invalidClient(client, 'has no redirectUris: add one')
  }
  for (const uri of [...redirectUris, ...postLogoutRedirectUris]) {
    const problem = redirectUriProblem(uri, { schemes })
    if (problem !== undefined)
      throw invalidClient(client, `has a redirect URI that cannot be used: ${problem}`)
  }
  const scope = scopes?.find(name => parseScope(name)?.length !== 1)
  if (scope !== undefined) {
    throw invalidClient(client, `has the scope ${JSON.stringify(scope)}, which is not a valid scope`)
  }
  return {
    clientId,
    kind: 'configured',
    clientName: client.clientName,
    clientUri: undefined,
    policyUri: undefined,
    tosUri: undefined,
    redirectUris,
    postLogoutRedirectUris,
    grantTypes,
    tokenEndpointAuthMethod: method,
    dpopBoundAccessTokens: client.dpopBoundAccessTokens,
    scopes,
    lifetimes: client.lifetimes,
    resources: client.resources,
    isSecret: clientSecret === undefined ? undefined : secretComparison(clientSecret),
    assertion: hasKeys ? configuredAssertion(client) : undefined,
  }
}

function configuredAssertion(client: ConfiguredClient): Client['assertion'] {
  const { jwks, jwksUri, tokenEndpointAuthSigningAlg, acceptTokenEndpointAudience = false } = client
  if (jwks && jwksUri !== undefined) throw invalidClient(client, 'has jwks and jwksUri: remove one of them')
  const keys = jwks && publicJwks(jwks)
  if (jwks && (!keys?.length || keys.length < jwks.keys.length)) {
    throw invalidClient(client, 'needs jwks with public keys only, RSA of at least 2048 bits')
  }
  if (jwksUri !== undefined && !isDocumentLocation(jwksUri, { allowLoopback: true })) {
    throw invalidClient(client, 'needs a jwksUri that is an https URL without port, user or fragment')
  }
  return {
    keys: keys ? { jwks: keys } : { jwksUri: jwksUri! },
    algorithm: tokenEndpointAuthSigningAlg,
    acceptTokenEndpointAudience,
  }
}

function invalidClient({ clientId }: ConfiguredClient, problem: string): ConfigurationError {
  return new ConfigurationError(
    `The client ${JSON.stringify(clientId)} of the option clients ${problem}`.replace(/\.?$/, '.'),
  )
}
