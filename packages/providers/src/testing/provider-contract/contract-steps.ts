import { inspect } from 'node:util'
import type { LoginError } from '@sallyport/oauth'
import { expect, it } from 'vitest'
import { type ContractUpstream, code, credentials } from '../contract-upstream.ts'
import type { SeenRequest } from '../fake-upstream.ts'
import type { ProviderFixtures, RecordedReply } from '../provider-fixtures.ts'
import { sentBy } from '../sent-by.ts'

/** What the parts of the contract share. */
export interface ContractSteps {
  fixtures: ProviderFixtures
  /** The provider of the test that runs. */
  readonly at: ContractUpstream
  /** Requests at the token endpoint with this grant type. */
  tokenRequests(grantType: string): SeenRequest[]
  /** What the user's return fails with when the token endpoint answers so. */
  refusalOfExchange(reply: RecordedReply): Promise<LoginError>
  /** That no secret, nor any of `more`, is in an error, wherever one may look. */
  expectSilence(error: unknown, more?: readonly string[]): void
  /** The sentences of a reply. */
  wordsOf(reply: RecordedReply): string[]
}

/** What a promise fails with; undefined when it does not. */
export const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    error => error,
  )

/** A test that is there only for vendors that have what it is about, so that none shows up as left out. */
export const testIf = (condition: unknown): typeof it => (condition ? it : noTest)
const noTest = Object.assign(() => {}, { each: () => () => {} }) as unknown as typeof it

/** @param getAt the provider of the test that runs */
export function createContractSteps(
  fixtures: ProviderFixtures,
  getAt: () => ContractUpstream,
): ContractSteps {
  const tokenRequests = (grantType: string) =>
    getAt()
      .upstream.seen('/token')
      .filter(request => sentBy(request).grant_type === grantType)
  const refusalOfExchange = async (reply: RecordedReply) => {
    const { memory } = await getAt().start()
    return errorOf(getAt().finish(memory, reply))
  }
  const secrets = () =>
    [code, credentials.clientSecret, fixtures.accessToken, fixtures.refreshToken].filter(
      secret => secret !== undefined,
    )
  const expectSilence = (error: unknown, more: readonly string[] = []) => {
    const shown = `${inspect(error, { showHidden: true, depth: 9 })}${JSON.stringify(error)}${error}`
    for (const secret of [...secrets(), ...more]) expect(shown).not.toContain(secret)
  }
  const wordsOf = ({ body }: RecordedReply) =>
    Object.values(typeof body === 'object' ? body : { body }).filter(
      (value): value is string => typeof value === 'string' && value.includes(' '),
    )

  return {
    fixtures,
    get at() {
      return getAt()
    },
    tokenRequests,
    refusalOfExchange,
    expectSilence,
    wordsOf,
  }
}
