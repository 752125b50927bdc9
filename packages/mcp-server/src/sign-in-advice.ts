import type { LoginProblem, SallyportEvent } from '@sallyport/oauth'

/** What an operator can do about a sign-in that failed. The line of the log says at which provider (`loginId`). */
const advice: Readonly<Record<LoginProblem, (loginId: string) => string>> = {
  client_refused: () =>
    "the provider refuses this server's client id or client secret: copy both from its settings once more",
  redirect_uri_refused: loginId =>
    `the provider does not know this server's redirect URI: register <PUBLIC_URL>/oauth/callback/${loginId} there, byte for byte`,
  request_refused: () =>
    "the provider refuses what this server asks for: allow the scopes of its tools in the provider's settings",
  code_refused: () =>
    'the provider refuses the code it gave out: if that goes on, compare client id, client secret and redirect URI with its settings',
  clock: () =>
    "this machine's clock and the provider's are too far apart: set this machine's clock, as by NTP",
  id_token_refused: () =>
    "the provider's id_token is not for this server: compare client id, tenant and issuer with the provider's settings",
  answer_unusable: () =>
    "the provider's answer cannot be used: check its issuer or endpoints in this server's code, and what it needs in its own settings",
  discovery_unusable: () =>
    "the provider's discovery document is not where its issuer says, or names another issuer: correct the issuer",
  unreachable: () =>
    'the provider does not answer, or answers that it cannot now: see whether this machine reaches it',
}

/** Undefined for what is no failed sign-in, or nothing that an operator could mend. */
export function signInAdvice(event: SallyportEvent): string | undefined {
  if (event.type !== 'sign_in_failed' || event.errorClass === undefined) return undefined
  const { errorClass, loginId } = event
  return errorClass in advice ? advice[errorClass as LoginProblem](loginId) : undefined
}
