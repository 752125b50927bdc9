import type { Client } from '../clients/client.ts'
import { displayClient } from './client-display.ts'
import { html } from './html.ts'
import { renderPage } from './page.ts'

interface Place {
  serverName: string
  serverHost: string
}

export interface EndSessionPage extends Place {
  client: Pick<Client, 'clientId' | 'clientName' | 'kind'>
  action: string
  sealedRequest: string
}

/** The page that asks before a session ends. */
export function endSessionPage(page: EndSessionPage, headers: Headers): Response {
  const { serverName, serverHost } = page
  const { name } = displayClient(page.client)
  const body = html`<h1>Sign <bdi>${name}</bdi> out of <bdi>${serverName}</bdi>?</h1>
<p class="soft">It will have no more access until you sign in again. Your other apps stay signed in.</p>
<form method="post" action="${page.action}">
<input type="hidden" name="request" value="${page.sealedRequest}">
<div class="actions">
<button class="primary" type="submit" name="decision" value="sign-out">Sign out</button>
<button type="submit" name="decision" value="stay">Stay signed in</button>
</div>
</form>`
  return renderPage({ title: `Sign ${name} out?`, serverName, serverHost, body }, { headers })
}

const outcomes = {
  signed_out: { title: 'Signed out', text: 'The session has ended. You can close this window.' },
  stayed: { title: 'Still signed in', text: 'Nothing was changed. You can close this window.' },
} as const

/** The last page, when the client named no address to go to, or the user stays. */
export function endSessionOutcomePage(
  { serverName, serverHost, outcome }: Place & { outcome: keyof typeof outcomes },
  headers: Headers,
): Response {
  const { title, text } = outcomes[outcome]
  const body = html`<h1>${title}</h1>
<p>${text}</p>`
  return renderPage({ title, serverName, serverHost, body }, { headers })
}
