/** What a `WWW-Authenticate` challenge asks for (RFC 6750 §3, RFC 9728 §5.1). */
export interface ReceivedChallenge {
  readonly status: number
  /** Absent when the request carried no credentials. */
  readonly error: string | undefined
  /** All that the operation needs. */
  readonly scopes: readonly string[]
  /** Where the protected resource metadata is. */
  readonly resourceMetadata: string | undefined
  /** How long ago the user may have authenticated, in seconds (RFC 9470 §3). */
  readonly maxAgeSeconds: number | undefined
}

/** A client of a test server was told to sign in. */
export class SignInRequiredError extends Error {
  override readonly name = 'SignInRequiredError'
  readonly challenge: ReceivedChallenge
  constructor(challenge: ReceivedChallenge) {
    const { error, scopes } = challenge
    super(
      `sign in${error === undefined ? '' : ` (${error})`}${scopes.length > 0 ? ` with ${scopes.join(' ')}` : ''}`,
    )
    this.challenge = challenge
  }
}

/** The first challenge of an answer, which is the one that clients read. */
export function challengeOf(response: Response): ReceivedChallenge {
  const header = response.headers.get('www-authenticate') ?? ''
  // The next one begins with a scheme, which no `=` follows.
  const [first = ''] = header.split(/, (?=[A-Za-z]+ [a-z_]+=)/)
  const said = new Map<string, string>()
  for (const [, name = '', value = ''] of first.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)) {
    said.set(name, value.replace(/\\(.)/g, '$1'))
  }
  const maxAge = said.get('max_age')
  return {
    status: response.status,
    error: said.get('error'),
    scopes: said.get('scope')?.split(' ') ?? [],
    resourceMetadata: said.get('resource_metadata'),
    maxAgeSeconds: maxAge === undefined ? undefined : Number(maxAge),
  }
}
