import type { LoginErrorReason } from '../login.ts'
import type { ConnectionSummary, GrantSummary } from '../storage/summaries.ts'
import { displayClient } from './client-display.ts'
import { breakable, type Html, html } from './html.ts'
import { renderPage } from './page.ts'

interface Place {
  serverName: string
  serverHost: string
}

/** A form with one button: where it goes, and what it carries. */
export interface AccountForm {
  action: string
  sealed: string
}

export interface AccountPage extends Place {
  /** `words`: what each scope allows. Undefined where apps get their access from another issuer. */
  grants: readonly (GrantSummary & { words: readonly string[]; revoke: AccountForm })[] | undefined
  /** What is connected, provider by provider. */
  providers: readonly ConnectedProvider[]
  signOut: AccountForm
}

/** A provider, and the user's accounts there. */
interface ConnectedProvider {
  label: string
  accounts: readonly ConnectedAccount[]
  /** Undefined where no further account can be connected. */
  connect: AccountForm | undefined
}

type ConnectedAccount = Omit<ConnectionSummary, 'provider' | 'account'> & {
  /** What the account is called at the provider, where that is known. */
  name: string | undefined
  disconnect: AccountForm
  /** Undefined for the one tools use already when they do not say which. */
  prefer: AccountForm | undefined
}

/** The page before sign-in. */
export function accountSignInPage(
  page: Place & { signInLabel: string; showsApps: boolean; signIn: AccountForm },
  headers: Headers,
): Response {
  const { serverName, serverHost, signInLabel, showsApps, signIn } = page
  const body = html`<h1>Your account</h1>
<p>See which ${showsApps ? 'apps may use' : 'accounts you have connected to'} <bdi>${serverName}</bdi>${showsApps && ' as you'}, and end what you no longer want.</p>
${form(signIn, html`<div class="actions"><button class="primary" type="submit">Sign in with ${signInLabel}</button></div>`)}`
  return renderPage({ title: 'Your account', serverName, serverHost, body }, { headers })
}

/** The page of a user who has signed in: what has access, what is connected, and a button to end each. */
export function accountPage(page: AccountPage, headers: Headers): Response {
  const { serverName, serverHost, grants, providers, signOut } = page
  const body = html`<h1>Your account</h1>
${
  grants &&
  html`<h2>Apps that may use <bdi>${serverName}</bdi> as you</h2>
${grants.length === 0 ? html`<p class="soft">None.</p>` : html`<ul class="entries">${grants.map(grantEntry)}</ul>`}`
}
<h2>Accounts you have connected</h2>
${
  providers.length === 0
    ? html`<p class="soft">None.</p>`
    : html`${providers.map(providerEntries)}
<p class="small soft">Disconnecting deletes what this server keeps, and asks that account’s provider to take back the
permission itself where it can be asked. You can always do that in the settings of that account.</p>`
}
${form(signOut, html`<div class="actions"><button type="submit">Sign out of this page</button></div>`)}`
  return renderPage({ title: 'Your account', serverName, serverHost, body }, { headers })
}

/** How a sign-in to this page can fail. */
export function accountProblemPage(
  page: Place & { accountUrl: string; reason: LoginErrorReason },
  headers: Headers,
): Response {
  const { serverName, serverHost, accountUrl, reason } = page
  const { status, title, text } = problems[reason]
  const body = html`<h1>${title}</h1>
<p>${text}</p>
${reason !== 'disabled' && html`<p><a href="${accountUrl}">Open your account page</a></p>`}`
  if (status === 503) headers.set('Retry-After', '30')
  return renderPage({ title, serverName, serverHost, body }, { status, headers })
}

const problems: Readonly<Record<LoginErrorReason, { status: number; title: string; text: string }>> = {
  denied: {
    status: 200,
    title: 'Not signed in',
    text: 'You declined, and nothing was changed.',
  },
  disabled: {
    status: 403,
    title: 'Your account is disabled',
    text: 'No app can use this server as you. Ask the operator of this server to enable your account.',
  },
  failed: {
    status: 502,
    title: 'Not signed in',
    text: 'The sign-in gave an answer that cannot be used. Try once more; if that does not help, tell the operator of this server.',
  },
  too_many_accounts: {
    status: 409,
    title: 'Not signed in',
    text: 'You have connected as many accounts as this server keeps for one person.',
  },
  unavailable: {
    status: 503,
    title: 'Not signed in',
    text: 'The sign-in cannot be reached at the moment. Wait a little, then open your account page again.',
  },
}

function grantEntry(grant: NonNullable<AccountPage['grants']>[number]): Html {
  const { clientId, words, createdAt, lastUsedAt, revoke } = grant
  const { name, host } = displayClient({ ...grant, kind: kindOf(clientId) })
  return html`<li><div><strong><bdi>${name}</bdi></strong>
${host !== undefined && host !== name && html`<span>Identified by ${breakable(host)}</span>`}
${words.length > 0 && html`<span>${words.map((word, at) => (at === 0 ? word : ` · ${word}`))}</span>`}
<span>Since ${day(createdAt)}, last used ${day(lastUsedAt)}</span></div>
${form(revoke, html`<button type="submit" aria-label="End access of ${name}">End access</button>`)}</li>`
}

function providerEntries({ label, accounts, connect }: ConnectedProvider): Html {
  const several = accounts.length > 1
  return html`<h3>${label}</h3>
<ul class="entries">${accounts.map((account, at) => accountEntry(account, { label, at, several }))}</ul>
${connect && form(connect, html`<div class="more"><button type="submit">Connect another ${label} account</button></div>`)}`
}

/** One account. Where a provider has several without a name, their places tell them apart. */
function accountEntry(
  account: ConnectedAccount,
  { label, at, several }: { label: string; at: number; several: boolean },
): Html {
  const { scopes, disconnect, prefer, isDefault } = account
  const name = account.name ?? (several ? `${label} account ${at + 1}` : `${label} account`)
  return html`<li><div><strong><bdi>${name}</bdi></strong>
${several && isDefault && html`<span>Tools use this account unless you tell them another.</span>`}
${scopes.length > 0 && html`<span>${scopes.map((scope, at) => [at > 0 && ', ', html`<code>${breakable(scope)}</code>`])}</span>`}
<span>${connectionNews(account, label)}</span></div>
<div class="buttons">${prefer && form(prefer, html`<button type="submit" aria-label="Use by default: ${name}">Use by default</button>`)}
${form(disconnect, html`<button type="submit" aria-label="Disconnect ${name}">Disconnect</button>`)}</div></li>`
}

/** What the user can do about a connection, if anything; what others must mend is not their concern. */
function connectionNews({ state, updatedAt, consentEndsAt }: ConnectedAccount, label: string): Html | string {
  const again = 'a tool that needs it will ask you to connect again'
  if (state === 'revoked') return `Ended by ${label}: ${again}`
  if (state === 'needs_consent') return `Ended: ${again}`
  const renewed = html`Last renewed ${day(updatedAt)}`
  return state === 'expiring' && consentEndsAt !== undefined
    ? html`${renewed}; on ${day(consentEndsAt)} it ends, and ${again}`
    : renewed
}

/** How a client became known shows in its id; who vouches for its name hangs on that. */
function kindOf(clientId: string): Parameters<typeof displayClient>[0]['kind'] {
  if (clientId.startsWith('dcr.')) return 'registered'
  return URL.canParse(clientId) && clientId.startsWith('https:') ? 'metadata-document' : 'configured'
}

function form({ action, sealed }: AccountForm, content: Html): Html {
  return html`<form method="post" action="${action}"><input type="hidden" name="request" value="${sealed}">${content}</form>`
}

const dayFormat = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeZone: 'UTC' })

/** The same for every reader: the server does not know their time zone. */
function day(at: number): Html {
  const date = new Date(at * 1000)
  return html`<time datetime="${date.toISOString()}">${dayFormat.format(date)}</time>`
}
