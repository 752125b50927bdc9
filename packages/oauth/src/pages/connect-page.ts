import type { LoginErrorReason } from '../login.ts'
import { askedScopes } from './consent-page.ts'
import { html } from './html.ts'
import { renderPage } from './page.ts'

interface Place {
  serverName: string
  serverHost: string
}

export interface ConnectPage extends Place {
  /** Name of the provider, such as `Google`. */
  label: string
  /** Provider scopes that will be asked for. */
  scopes: readonly string[]
  /** How users sign in to this server; undefined when that is the provider itself, in one trip. */
  signInLabel: string | undefined
  /** Whether it is to be an account that is not connected yet. */
  isAnother: boolean
  action: string
  sealedTicket: string
}

/** The page behind a link that a tool gave out: asks before anything is sent to the provider. */
export function connectPage(page: ConnectPage, headers: Headers): Response {
  const { label, serverName, serverHost, isAnother } = page
  const what = isAnother ? `another ${label} account` : label
  const body = html`<h1>Connect ${what} to <bdi>${serverName}</bdi>?</h1>
<p class="soft">${
    isAnother
      ? `The ${label} accounts you have connected stay as they are. Continue only if you asked for this yourself.`
      : `A tool you used in your app needs your ${label} account. Continue only if you asked for this link in your own app.`
  }</p>
<h2>What happens next</h2>
<ol class="steps">
${
  page.signInLabel !== undefined &&
  html`<li><span>You sign in with ${page.signInLabel}, to show that the link is yours.</span></li>`
}
<li><div>${page.signInLabel === undefined ? 'You sign in with' : 'You connect'} ${label}${isAnother && ', with the other account'}.${askedScopes(label, page.scopes)}</div></li>
<li><span>${isAnother ? 'Your tools can use both accounts.' : 'You go back to your app and ask again.'}</span></li>
</ol>
<form method="post" action="${page.action}">
<input type="hidden" name="request" value="${page.sealedTicket}">
<div class="actions"><button class="primary" type="submit">Continue</button></div>
</form>`
  return renderPage({ title: `Connect ${what}`, serverName, serverHost, body }, { headers })
}

/** How an attempt to connect ended. */
export type ConnectOutcome = 'connected' | 'partly' | LoginErrorReason

/** The last page of a connection, whichever way it ended. */
export function connectOutcomePage(
  page: Place & { label: string; outcome: ConnectOutcome; accountUrl: string },
  headers: Headers,
): Response {
  const { label, outcome, serverName, serverHost, accountUrl } = page
  const { status, title, text } = outcomeTexts(label)[outcome]
  const body = html`<h1>${title}</h1>
<p>${text}</p>
${outcome !== 'disabled' && html`<p class="small"><a href="${accountUrl}">Your account page</a></p>`}`
  return renderPage({ title, serverName, serverHost, body }, { status, headers })
}

const outcomeTexts = (
  label: string,
): Record<ConnectOutcome, { status: number; title: string; text: string }> => ({
  connected: {
    status: 200,
    title: 'Connected',
    text: 'You can close this window and go back to your app.',
  },
  partly: {
    status: 200,
    title: 'Connected, but not for everything',
    text: `${label} did not grant all that was asked. Go back to your app; when a tool needs more, it gives you a new link.`,
  },
  denied: {
    status: 200,
    title: 'Not connected',
    text: 'You declined, and nothing was changed. You can close this window and go back to your app.',
  },
  disabled: {
    status: 403,
    title: 'Your account is disabled',
    text: 'Nothing was connected. Ask the operator of this server to enable your account.',
  },
  failed: {
    status: 502,
    title: 'Not connected',
    text: `${label} gave an answer that cannot be used. Go back to your app and ask it for a new link; if that does not help, tell the operator of this server.`,
  },
  too_many_accounts: {
    status: 409,
    title: 'Not connected',
    text: `You have connected as many ${label} accounts as this server keeps for one person. Disconnect one on your account page, then go back to your app and ask it for a new link.`,
  },
  unavailable: {
    status: 503,
    title: 'Not connected',
    text: `${label} cannot be reached at the moment. Wait a little, then ask your app for a new link.`,
  },
})
