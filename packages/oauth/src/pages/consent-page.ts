import type { Client } from '../clients/client.ts'
import { type ClientDisplay, type Destination, displayClient, displayDestination } from './client-display.ts'
import { breakable, type Html, html, trusted } from './html.ts'
import { renderPage } from './page.ts'

/** A trip to a provider that follows the consent. */
export interface NextProvider {
  label: string
  /** `both`: one trip signs in and connects. */
  purpose: 'sign-in' | 'connection' | 'both'
  /** Provider scopes asked for. */
  scopes: readonly string[]
}

export interface ConsentPage {
  serverName: string
  serverHost: string
  client: Pick<Client, 'clientId' | 'clientName' | 'kind' | 'policyUri' | 'tosUri'>
  redirectUri: string
  /** What will be granted, in words. */
  grants: readonly string[]
  next: readonly NextProvider[]
  /** Where the form goes, and the sealed request it carries. */
  action: string
  sealedRequest: string
}

/** The page that asks: which client gets what, where the answer goes, what follows (R37, R63, R64). */
export function consentPage(page: ConsentPage, headers: Headers): Response {
  const client = displayClient(page.client)
  const destination = displayDestination(page.redirectUri)
  const body = html`<h1>Let <bdi>${client.name}</bdi> use <bdi>${page.serverName}</bdi>?</h1>
<p class="soft">Allow it only if you started this yourself, just now.</p>
<dl>
<div><dt>App</dt><dd><bdi>${client.name}</bdi>${clientProof(client)}</dd></div>
<div><dt>The answer goes to</dt><dd>${destinationName(destination)}<code class="small">${breakable(destination.uri)}</code></dd></div>
</dl>
<h2>It will be able to</h2>
<ul class="grants">${page.grants.map(grant => html`<li>${tick}<span>${grant}</span></li>`)}</ul>
<h2>What happens next</h2>
<ol class="steps">${page.next.map(providerStep)}<li><span>You return to <bdi>${client.name}</bdi>.</span></li></ol>
${destination.kind === 'loopback' && loopbackWarning(client)}
<form method="post" action="${page.action}">
<input type="hidden" name="request" value="${page.sealedRequest}">
<div class="actions">
<button class="primary" type="submit" name="decision" value="allow">Allow</button>
<button type="submit" name="decision" value="deny">Deny</button>
</div>
</form>
${policyLinks(page.client)}`
  const { serverName, serverHost } = page
  return renderPage({ title: `Allow ${client.name}?`, serverName, serverHost, body }, { headers })
}

const tick = trusted(
  '<svg viewBox="0 0 20 20" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" ' +
    'stroke-linejoin="round" aria-hidden="true"><path d="m4 10.5 4 4 8-9"/></svg>',
)

function clientProof({ host, vouched }: ClientDisplay): Html {
  switch (vouched) {
    case 'operator':
      return html`<span class="small">Set up by the operator of this server.</span>`
    case 'host':
      return html`<span class="small">Identified by <strong>${host}</strong></span>`
    case 'nobody':
      return html`<span class="small">It registered itself: its name is not verified.</span>`
  }
}

function destinationName(destination: Destination): Html {
  switch (destination.kind) {
    case 'website':
      return html`${destination.host}`
    case 'loopback':
      return html`A program on this computer (${destination.host})`
    case 'app':
      return html`The app on this device that opens <code>${destination.scheme}</code> links`
  }
}

/** R37: a proven host of the client says nothing about the program that listens on this computer. */
function loopbackWarning({ name }: ClientDisplay): Html {
  return html`<p class="warning"><strong>Is it really <bdi>${name}</bdi>?</strong> The answer goes to a program on this
computer, and any program here can use that name. If you did not just start this sign-in, choose Deny.</p>`
}

/** The provider's own scope names, because those are what its page and its documentation speak of. */
export function askedScopes(label: string, scopes: readonly string[]): Html | false {
  return (
    scopes.length > 0 &&
    html`<ul class="asked"><li>${label} will be asked for:</li>${scopes.map(
      scope => html`<li><code>${breakable(scope)}</code></li>`,
    )}</ul>`
  )
}

function providerStep({ label, purpose, scopes }: NextProvider): Html {
  const asked = askedScopes(label, scopes)
  switch (purpose) {
    case 'sign-in':
    case 'both':
      return html`<li><div>You sign in with ${label}.${asked}</div></li>`
    case 'connection':
      return html`<li><div>You connect your ${label} account, unless it is connected already.${asked}</div></li>`
  }
}

/** Absolute http(s) addresses only; the client's metadata was checked for that, and a link is checked where it is made. */
function policyLinks({ policyUri, tosUri }: ConsentPage['client']): Html | false {
  const links = [
    { text: 'Privacy policy', uri: policyUri },
    { text: 'Terms of service', uri: tosUri },
  ].flatMap(({ text, uri }) =>
    uri !== undefined && URL.canParse(uri) && /^https?:$/.test(new URL(uri).protocol)
      ? [html`<a href="${uri}" rel="noreferrer noopener">${text} (${new URL(uri).host})</a>`]
      : [],
  )
  if (links.length === 0) return false
  return html`<p class="small soft policies">The app's own pages: ${links.flatMap((link, at) => (at === 0 ? [link] : [' · ', link]))}</p>`
}
