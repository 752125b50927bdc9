import type { Client } from '../clients/client.ts'
import type { Context } from '../context.ts'
import { OAuthError } from '../errors.ts'
import { type ConsentPage, consentPage, type NextProvider } from '../pages/consent-page.ts'
import { putBrowserCookie } from '../pages/cookies.ts'
import { PageRefusal } from '../pages/refusal.ts'
import { checkAuthorizationRequest, provenRedirectUri } from '../protocol/authorization-request.ts'
import { sha256 } from '../protocol/hash.ts'
import { parseQuery, readForm, single } from '../protocol/parameters.ts'
import { browserEndpoint, placeOf } from './browser-endpoint.ts'
import { answerClient } from './client-answer.ts'
import { findLogin, planLegs } from './legs.ts'
import { endpointPaths } from './paths.ts'
import { isPushedRequestUri, openPushedRequest } from './pushed-request.ts'
import { createSealedMessage } from './sealed-message.ts'
import { type ClientRequest, clientRequest } from './transaction.ts'

/** The request inside a consent page, bound to the cookie of the browser that was shown it (R56, R65). */
export const consentForm = createSealedMessage('consent-page', 'consent-page', clientRequest)

/**
 * The authorization endpoint (OAuth 2.1 §3.1): checks the request and asks the user. Nothing is stored, however
 * often it is called: the page itself carries the request, sealed (R60). There is no remembered consent, so the
 * page is shown each time (R63, R68, R69).
 */
export const authorize = browserEndpoint(endpointPaths.authorize, async (context, request) => {
  const presented = request.method === 'POST' ? await readForm(request) : parseQuery(request.url)
  const client = await requestingClient(context, onlyValue(presented, 'client_id'))
  const requestUri = onlyValue(presented, 'request_uri')
  const { parameters, pushed } = isPushedRequestUri(requestUri)
    ? openPushedRequest(context, client.clientId, requestUri)
    : { parameters: presented, pushed: undefined }
  const redirectUri =
    parameters.getAll('redirect_uri').length > 1
      ? undefined
      : provenRedirectUri(client, onlyValue(parameters, 'redirect_uri'))
  // R40: from here on we know where the client is; before, nobody but the user can be told.
  if (redirectUri === undefined) throw new PageRefusal('unregistered_redirect_uri')

  let checked: ReturnType<typeof checkAuthorizationRequest>
  try {
    checked = checkAuthorizationRequest(single(parameters, { repeatable: ['resource'] }), client, context)
  } catch (error) {
    // R48: a stranger must not make us send a browser somewhere before its user has done anything.
    if (!(error instanceof OAuthError) || client.kind !== 'configured') throw error
    const state = onlyValue(parameters, 'state')
    const { code, description } = error
    return answerClient(context, { redirectUri, state }, { error: code, error_description: description })
  }
  return askForConsent(context, request, client, { redirectUri, ...checked, ...(pushed && { pushed }) })
})

/** R40: the client comes first, and if there is none nobody is redirected anywhere. */
async function requestingClient(context: Context, clientId: string | undefined): Promise<Client> {
  const client = clientId === undefined ? undefined : await context.clients.resolveClient(clientId)
  if (!client) throw new PageRefusal('unknown_client')
  return client
}

/** A parameter that may be looked at before all are checked; one that comes twice has no value (R45). */
function onlyValue(parameters: URLSearchParams, name: string): string | undefined {
  const [value, ...more] = parameters.getAll(name)
  return more.length > 0 || value === '' ? undefined : value
}

function askForConsent(
  context: Context,
  request: Request,
  client: Client,
  asked: Omit<ClientRequest, 'clientId' | 'clientName'>,
): Response {
  const { clientId, clientName } = client
  const browser = putBrowserCookie(context, request)
  const page: ConsentPage = {
    ...placeOf(context),
    client,
    redirectUri: asked.redirectUri,
    grants: asked.scopes.map(scope => context.scopes[scope]!),
    next: nextProviders(context, asked.scopes),
    action: context.issuer + endpointPaths.consent,
    sealedRequest: consentForm.seal(context, browser.value, { clientId, clientName, ...asked }),
  }
  context.emit({ type: 'consent_shown', clientIdHash: sha256(clientId) })
  return consentPage(page, browser.headers)
}

function nextProviders(context: Context, scopes: readonly string[]): NextProvider[] {
  return planLegs(context, scopes).map(leg => {
    const login = findLogin(context, leg.loginId)
    const identity = login?.kind === 'redirect' ? (login.identityScopes ?? []) : []
    return {
      label: login?.label ?? leg.loginId,
      purpose: leg.purpose,
      // Everything the provider will be asked for (R64); `openid` only says that it is a sign-in.
      scopes: [...new Set([...identity, ...leg.scopes])].filter(scope => scope !== 'openid'),
    }
  })
}
