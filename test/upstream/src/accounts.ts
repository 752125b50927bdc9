/** A person with an account at the upstream provider. */
export interface Account {
  sub: string
  name: string
  email: string
}

/** The accounts every upstream has; the first is the one `autoConsent` signs in as unless told otherwise. */
export const accounts: readonly [Account, ...Account[]] = [
  { sub: '110248495921238986420', name: 'Alice Example', email: 'alice@upstream.example' },
  { sub: '110169484474386276334', name: 'Bob Example', email: 'bob@upstream.example' },
]
