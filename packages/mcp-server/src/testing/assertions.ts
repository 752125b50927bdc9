import { AssertionError } from 'node:assert'
import { challengeOf, type ReceivedChallenge } from './challenge.ts'

/** What was tried: the promise of a client's call or of `connect`, what either threw, or the response to `request`. */
export type Attempt = unknown

interface Outcome {
  /** For messages: never a value of a result. */
  description: string
  challenge?: ReceivedChallenge
  /** Where a link could be. */
  text(): Promise<string>
  /** Whether it says itself that it is no success. */
  isRefusal: boolean
}

/**
 * Asserts that the caller was told to sign in: 401, with the address of the protected resource metadata.
 *
 * @param expected.scopes all that the challenge names, in any order. Default: whatever it names
 * @param expected.error such as `invalid_token`. Default: any, or none
 * @param expected.maxAgeSeconds how old a sign-in may be. Default: whatever it says
 * @returns the challenge
 * @throws {AssertionError}
 * @see RFC 6750 §3, RFC 9728 §5.1
 */
export async function assertSignInRequired(
  attempt: Attempt,
  expected: { scopes?: readonly string[]; error?: string; maxAgeSeconds?: number } = {},
): Promise<ReceivedChallenge> {
  const challenge = challengeWith(401, 'to sign in (401)', await outcomeOf(attempt))
  if (expected.scopes)
    same('scopes of the challenge', [...challenge.scopes].sort(), [...expected.scopes].sort())
  if (expected.error !== undefined) same('error of the challenge', challenge.error, expected.error)
  if (expected.maxAgeSeconds !== undefined) {
    same('max_age of the challenge', challenge.maxAgeSeconds, expected.maxAgeSeconds)
  }
  return challenge
}

/**
 * Asserts that the caller was told to ask for more: 403 `insufficient_scope`, with every scope the operation needs at
 * once and the address of the protected resource metadata.
 *
 * @param expected.scopes all of them, in any order
 * @returns the challenge
 * @throws {AssertionError}
 * @see RFC 6750 §3.1
 */
export async function assertScopesRequired(
  attempt: Attempt,
  expected: { scopes: readonly string[] },
): Promise<ReceivedChallenge> {
  const challenge = challengeWith(403, 'to ask for more scopes (403)', await outcomeOf(attempt))
  same('error of the challenge', challenge.error, 'insufficient_scope')
  same('scopes of the challenge', [...challenge.scopes].sort(), [...expected.scopes].sort())
  return challenge
}

/**
 * Asserts that the user was given a link to connect their account at a provider: in the result of a tool, or as a URL
 * elicitation.
 *
 * @param expected.provider id of the provider
 * @returns the link, for `open`
 * @throws {AssertionError}
 */
export async function assertConnectLink(attempt: Attempt, expected: { provider: string }): Promise<string> {
  const outcome = await outcomeOf(attempt)
  const pattern = new RegExp(`https?://[^\\s"\\\\]+/oauth/connect/${expected.provider}\\?ticket=[\\w.~-]+`)
  const link = pattern.exec(await outcome.text())?.[0]
  if (link === undefined || !outcome.isRefusal) {
    fail(
      `Expected a link to connect ${expected.provider}, but there was ${outcome.description}.`,
      outcome.description,
    )
  }
  return link
}

function challengeWith(status: number, what: string, { challenge, description }: Outcome): ReceivedChallenge {
  if (challenge?.status !== status) {
    fail(`Expected the caller to be told ${what}, but there was ${description}.`, description)
  }
  const { resourceMetadata = '' } = challenge
  const isMetadata =
    URL.canParse(resourceMetadata) &&
    new URL(resourceMetadata).pathname.startsWith('/.well-known/oauth-protected-resource')
  if (!isMetadata) {
    fail(
      'Expected resource_metadata in the challenge: without it clients do not find the way to sign in.',
      resourceMetadata,
    )
  }
  return challenge
}

function same(what: string, actual: unknown, expected: unknown): void {
  if (JSON.stringify(actual) === JSON.stringify(expected)) return
  const show = (value: unknown) => (value === undefined ? 'none' : JSON.stringify(value))
  throw new AssertionError({
    message: `Expected the ${what} to be ${show(expected)}, and not ${show(actual)}.`,
    actual,
    expected,
    operator: 'deepStrictEqual',
  })
}

function fail(message: string, actual: unknown): never {
  throw new AssertionError({ message, actual, operator: 'fail' })
}

async function outcomeOf(attempt: Attempt): Promise<Outcome> {
  try {
    const value = await attempt
    if (value instanceof Error) return ofError(value)
    return value instanceof Response ? ofResponse(value) : ofResult(value)
  } catch (error) {
    return ofError(error)
  }
}

const ofResponse = (response: Response): Outcome => ({
  description: `HTTP ${response.status}`,
  challenge: challengeOf(response),
  text: () => response.clone().text(),
  isRefusal: true,
})

function ofResult(value: unknown): Outcome {
  const { content, isError, resultType } = asObject(value)
  const description = Array.isArray(content) ? `a result${isError ? ' that is an error' : ''}` : 'an answer'
  return {
    description,
    text: async () => JSON.stringify(value) ?? '',
    isRefusal: isError === true || resultType === 'input_required',
  }
}

function ofError(error: unknown): Outcome {
  const { name, message, challenge, requiredScope, resourceMetadataUrl, data } = asObject(error)
  const received =
    // What the client library makes of a 403 with insufficient_scope.
    typeof requiredScope === 'string'
      ? {
          status: 403,
          error: 'insufficient_scope',
          scopes: requiredScope.split(' '),
          resourceMetadata: resourceMetadataUrl === undefined ? undefined : String(resourceMetadataUrl),
          maxAgeSeconds: undefined,
        }
      : (challenge as ReceivedChallenge | undefined)
  return {
    description: `the error ${name}: ${message}`,
    ...(received && { challenge: received }),
    // A URL elicitation that is required carries its links there.
    text: async () => JSON.stringify(data) ?? '',
    isRefusal: true,
  }
}

const asObject = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
