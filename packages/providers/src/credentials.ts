import { ConfigurationError } from '@sallyport/oauth'
import type { ClientCredentials } from './client-authentication.ts'
import type { ProviderDefinition } from './provider-definition.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The credentials: options first, then the environment. What can be seen to be wrong would otherwise show at the first
 * sign-in, as a refusal of the provider.
 *
 * @throws {ConfigurationError} when one is missing or cannot be one, in one sentence that names it and what to do
 */
export function readCredentials(
  {
    label,
    clientId: givenId,
    clientSecret: givenSecret,
    credentialVariables: variables,
    credentialHint,
    credentialMistake,
  }: Pick<
    ProviderDefinition,
    'label' | 'clientId' | 'clientSecret' | 'credentialVariables' | 'credentialHint' | 'credentialMistake'
  >,
  environment: Environment,
): ClientCredentials {
  const clientId = givenId?.trim() || (variables && readVariable(variables.clientId, environment))
  const clientSecret = givenSecret?.trim() || (variables && readVariable(variables.clientSecret, environment))
  const names = variables ?? { clientId: 'clientId', clientSecret: 'clientSecret' }
  if (!clientId || !clientSecret) {
    const missing = clientId ? names.clientSecret : clientSecret ? names.clientId : undefined
    const which = missing === undefined ? '' : `, and ${missing} is not set`
    throw new ConfigurationError(
      `${label} needs ${names.clientId} and ${names.clientSecret}${which}: ${credentialHint}.`,
    )
  }
  const credentials = { clientId, clientSecret }
  const mistake = credentialMistake?.(credentials)
  if (mistake !== undefined) throw new ConfigurationError(`${label}: ${mistake}.`)
  return credentials
}

/** A variable's value without what a shell or an `.env` file left around it; undefined when that is nothing. */
function readVariable(name: string, environment: Environment): string | undefined {
  const value = environment[name]?.trim()
  if (!value) return undefined
  // `docker run --env-file` and systemd units hand quotation marks on.
  if (/^(["'`]).*\1$/.test(value)) {
    throw new ConfigurationError(`${name} stands in quotation marks, which count as part of it: remove them.`)
  }
  // RFC 6749 §A.1, and no provider gives out one with a space.
  if (!/^[\x21-\x7e]+$/.test(value)) {
    throw new ConfigurationError(
      `${name} has a space, a line break or a character that is not ASCII: copy it once more.`,
    )
  }
  return value
}
