import type { IncomingMessage, ServerResponse } from 'node:http'
import type Provider from 'oidc-provider'
import { type Account, accounts } from './accounts.ts'
import type { ControlState } from './control.ts'

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, char => `&#${char.charCodeAt(0)};`)

function page(url: string, chosen: string, scopes: readonly string[]): string {
  const choice = ({ sub, name }: Account): string =>
    `<label><input type="radio" name="account" value="${escapeHtml(sub)}"${sub === chosen ? ' checked' : ''}>${escapeHtml(name)}</label>`
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign in to the test upstream</title>
<link rel="icon" href="data:,">
<h1>Choose an account</h1>
<form method="post" action="${escapeHtml(url)}">
<fieldset><legend>Account</legend>${accounts.map(choice).join('')}</fieldset>
<p>The application asks for:</p><ul>${scopes.map(scope => `<li>${escapeHtml(scope)}</li>`).join('')}</ul>
<button name="decision" value="allow">Allow</button>
<button name="decision" value="deny">Cancel</button>
</form></html>`
}

/** What the user agreed to; the provider's quirks need it when tokens are issued. */
export interface ConsentGiven {
  grantId: string
  sub: string
  /** Parameters of the authorization request. */
  parameters: Readonly<Record<string, unknown>>
}

/** The upstream's sign-in and consent page: one plain form for both. */
export async function answerInteraction(
  provider: Provider,
  state: ControlState,
  request: IncomingMessage,
  response: ServerResponse,
  form: URLSearchParams | undefined,
  deniedError: string,
  resources: Readonly<Record<string, readonly string[]>>,
  onConsent: (consent: ConsentGiven) => void,
  /** What an account has granted before, where the provider adds that to a new grant. */
  earlierScopes: (sub: string) => readonly string[],
): Promise<void> {
  const interaction = await provider.interactionDetails(request, response)
  const { params } = interaction
  const asked = String(params.scope ?? '')
    .split(' ')
    .filter(Boolean)

  if (form === undefined && !state.passes()) {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
    response.end(page(request.url ?? '', state.account(), asked))
    return
  }
  if (form !== undefined && form.get('decision') !== 'allow') {
    await provider.interactionFinished(request, response, { error: deniedError })
    return
  }

  const sub = form?.get('account') ?? state.account()
  const only = state.granted()
  const refused = only === undefined ? [] : asked.filter(scope => !only.includes(scope))
  const grant = new provider.Grant({ accountId: sub, clientId: String(params.client_id) })
  const given = asked.filter(scope => !refused.includes(scope))
  if (params.include_granted_scopes === 'true') {
    given.push(...earlierScopes(sub).filter(scope => !asked.includes(scope)))
    // The tokens get what the request asks for, so it asks for all of it from now on.
    params.scope = [...new Set([...asked, ...given])].join(' ')
    await interaction.save(interaction.exp - Math.floor(Date.now() / 1000))
  }
  if (given.length > 0) grant.addOIDCScope(given.join(' '))
  // A scope neither granted nor refused would be asked for once more.
  if (refused.length > 0) grant.rejectOIDCScope(refused.join(' '))
  for (const resource of [params.resource ?? []].flat().map(String)) {
    const theirs = given.filter(scope => resources[resource]?.includes(scope))
    if (theirs.length > 0) grant.addResourceScope(resource, theirs.join(' '))
  }
  const grantId = await grant.save()
  onConsent({ grantId, sub, parameters: params })
  await provider.interactionFinished(
    request,
    response,
    { login: { accountId: sub, remember: false }, consent: { grantId }, select_account: {} },
    { mergeWithLastSubmission: false },
  )
}
