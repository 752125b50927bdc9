import { anotherAccount } from '@sallyport/oauth'
import type { ConnectionRequiredError } from '../provider.ts'

/** What is asked for once in a call: the accounts of a provider that the call needs, and apart from them one more. */
export const accountName = ({ provider, account }: ConnectionRequiredError): string =>
  account === anotherAccount ? `${anotherAccount} ${provider}` : provider
