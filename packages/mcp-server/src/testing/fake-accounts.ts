import { anotherAccount } from '@sallyport/oauth'
import { ToolError } from '../tools/tool-error.ts'

/** One of a user's accounts at a fake provider. */
export interface FakeConnectedAccount {
  /** What tools name it by. */
  readonly id: string
  /** What its connection is kept under: the user's id for the first, so that tests find it there. */
  readonly key: string
  /** Undefined when nobody has signed in: the test made the connection. */
  readonly sub: string | undefined
  readonly name: string | undefined
}

/** Which accounts the users of a fake provider have, the one connected first in front. */
export interface FakeAccounts {
  /** The account with this subject, which is new unless the user has connected it before; returns its key. */
  add(userId: string, sub: string, name: string | undefined): string
  /**
   * The account that is meant: the first by default, the last for `anotherAccount`.
   *
   * @throws {ToolError} when the user has no such account
   */
  find(userId: string, account: string | undefined): FakeConnectedAccount
  list(userId: string): readonly FakeConnectedAccount[]
}

/** @param label name users know the provider by */
export function createFakeAccounts(label: string): FakeAccounts {
  const known = new Map<string, FakeConnectedAccount[]>()
  const list = (userId: string): readonly FakeConnectedAccount[] =>
    known.get(userId) ?? [{ id: `account-of-${userId}`, key: userId, sub: undefined, name: undefined }]
  return {
    list,
    add(userId, sub, name) {
      const accounts = known.get(userId) ?? []
      known.set(userId, accounts)
      const before = accounts.find(account => account.sub === sub)
      if (before) return before.key
      const isFirst = accounts.length === 0
      const id = isFirst ? `account-of-${userId}` : `account-${accounts.length + 1}-of-${userId}`
      const key = isFirst ? userId : `${userId}/${id}`
      accounts.push({ id, key, sub, name })
      return key
    },
    find(userId, wanted) {
      const accounts = list(userId)
      const found =
        wanted === undefined
          ? accounts[0]
          : wanted === anotherAccount
            ? accounts.at(-1)
            : accounts.find(({ id }) => id === wanted)
      if (found) return found
      throw new ToolError(
        `You have connected no ${label} account of this id. Leave the account out for the one used by default.`,
      )
    },
  }
}
