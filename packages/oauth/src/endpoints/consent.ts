import { LoginError } from '../login.ts'
import { dropBrowserCookie, readBrowserCookie } from '../pages/cookies.ts'
import { PageRefusal } from '../pages/refusal.ts'
import { sha256 } from '../protocol/hash.ts'
import { readForm, single } from '../protocol/parameters.ts'
import { consentForm } from './authorize.ts'
import { beginTransaction } from './begin-transaction.ts'
import { browserEndpoint } from './browser-endpoint.ts'
import { answerClient, resolveUnchangedClient } from './client-answer.ts'
import { planLegs } from './legs.ts'
import { loginErrorAnswer, loginFailed } from './login-failure.ts'
import { endpointPaths } from './paths.ts'
import { claimPushedRequest } from './pushed-request.ts'
import { assertSameOrigin } from './same-origin.ts'

/**
 * Takes the answer to the consent page. What was asked is what the page carries, sealed for this browser; nothing
 * else in the form is believed (R56, R65).
 */
export const consent = browserEndpoint(endpointPaths.consent, async (context, request) => {
  const { issuer, emit } = context
  assertSameOrigin(context, request)
  const form = single(await readForm(request))
  const browser = readBrowserCookie(issuer, request)
  const sealed = form.get('request')
  const asked = browser && sealed && consentForm.open(context, browser, sealed)
  const decision = form.get('decision')
  if (!asked || (decision !== 'allow' && decision !== 'deny')) throw new PageRefusal('page_ended')
  await resolveUnchangedClient(context, asked)
  if (asked.pushed) await claimPushedRequest(context, asked.pushed)

  const clientIdHash = sha256(asked.clientId)
  if (decision === 'deny') {
    emit({ type: 'consent_denied', clientIdHash })
    // R70: the page cannot be answered a second time, by going back or otherwise.
    const headers = new Headers()
    dropBrowserCookie(issuer, headers)
    return answerClient(context, asked, loginErrorAnswer.denied, headers)
  }
  emit({ type: 'consent_granted', clientIdHash })
  try {
    const goal = { kind: 'authorize', request: asked } as const
    return await beginTransaction(context, request, { goal, legs: planLegs(context, asked.scopes, asked) })
  } catch (error) {
    if (!(error instanceof LoginError)) throw error
    emit(loginFailed(context.signIn.id, error))
    return answerClient(context, asked, loginErrorAnswer[error.reason])
  }
})
