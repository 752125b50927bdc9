import type { PageLogin } from '@sallyport/oauth'
import type { FakeAccount } from './fake-provider.ts'

/** Header with which a browser of the test kit says who sits in front of it. */
const header = 'x-test-account'

/** A sign-in whose page lets in who the test says. */
export interface PageSignIn {
  readonly login: PageLogin
  /** Subject → id of the user at the server, of everybody who has signed in. */
  readonly users: ReadonlyMap<string, string>
  /** What a browser sends along so that this account signs in. */
  headersFor(account: FakeAccount): Record<string, string>
}

/**
 * Creates one in place of the application's own page: with its name, and without asking for anything.
 *
 * @param issuer who vouches for its users
 */
export function createPageSignIn(
  { id, label, prompts }: PageLogin,
  issuer: string = 'urn:sallyport:testing',
): PageSignIn {
  const accounts: FakeAccount[] = []
  const users = new Map<string, string>()
  return {
    users,
    headersFor: account => ({ [header]: `${accounts.push(account) - 1}` }),
    login: {
      kind: 'page',
      id,
      label,
      ...(prompts && { prompts }),
      async handle({ request }) {
        const account = accounts[Number(request.headers.get(header) ?? Number.NaN)]
        if (!account) return new Response('Users of a test server sign in with asUser.', { status: 403 })
        const { sub, ...rest } = account
        return {
          issuer,
          subject: sub,
          ...rest,
          async onUser(userId) {
            users.set(sub, userId)
            return undefined
          },
        }
      },
    },
  }
}
