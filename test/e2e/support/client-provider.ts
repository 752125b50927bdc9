import type { OAuthClientProvider } from '@modelcontextprotocol/client'

type Result<Method extends keyof OAuthClientProvider> = Awaited<
  ReturnType<Extract<OAuthClientProvider[Method], (...parameters: never[]) => unknown>>
>

/** What an MCP client keeps between runs, and what the test looks at. */
export interface ClientMemory {
  clientInformation: Result<'clientInformation'>
  tokens: Result<'tokens'>
  codeVerifier: string
  state: string
  discoveryState: Result<'discoveryState'>
  /** Set when the client wants its user to sign in; the test takes it away. */
  authorizationUrl: URL | undefined
  /** How often the client asked for a sign-in. */
  signIns: number
  /** Every token set it was given. */
  history: NonNullable<Result<'tokens'>>[]
}

/** An OAuth client provider of the MCP SDKs (1.x and 2.x have the same), with a memory the test can look into. */
export function createClientProvider(options: {
  redirectUrl: string
  clientMetadataUrl?: string
}): OAuthClientProvider & { memory: ClientMemory } {
  const memory: ClientMemory = {
    clientInformation: undefined,
    tokens: undefined,
    codeVerifier: '',
    state: '',
    discoveryState: undefined,
    authorizationUrl: undefined,
    signIns: 0,
    history: [],
  }
  return {
    memory,
    redirectUrl: options.redirectUrl,
    ...(options.clientMetadataUrl === undefined ? {} : { clientMetadataUrl: options.clientMetadataUrl }),
    clientMetadata: {
      client_name: 'End-to-end client',
      redirect_uris: [options.redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    },
    state() {
      memory.state = crypto.randomUUID()
      return memory.state
    },
    clientInformation: () => memory.clientInformation,
    saveClientInformation(information) {
      memory.clientInformation = information
    },
    tokens: () => memory.tokens,
    saveTokens(tokens) {
      memory.tokens = tokens
      memory.history.push(tokens)
    },
    redirectToAuthorization(url) {
      memory.authorizationUrl = url
      memory.signIns++
    },
    saveCodeVerifier(verifier) {
      memory.codeVerifier = verifier
    },
    codeVerifier: () => memory.codeVerifier,
    discoveryState: () => memory.discoveryState,
    saveDiscoveryState(state) {
      memory.discoveryState = state
    },
    invalidateCredentials(scope) {
      if (scope === 'all' || scope === 'tokens') memory.tokens = undefined
      if (scope === 'all' || scope === 'client') memory.clientInformation = undefined
      if (scope === 'all' || scope === 'discovery') memory.discoveryState = undefined
    },
  }
}
