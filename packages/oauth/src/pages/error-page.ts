import { type OAuthError, StoreUnavailableError } from '../errors.ts'
import { html } from './html.ts'
import { renderPage } from './page.ts'
import type { RefusalReason } from './refusal.ts'

interface ErrorText {
  status: number
  title: string
  /** One sentence: what happened. */
  what: string
  /** One sentence: what to do. */
  todo: string
}

interface Place {
  serverName: string
  serverHost: string
}

const startAgain = 'Go back to your app and start the sign-in again.'
const newLink = 'Go back to your app and ask it for a new link.'

const refusals: Record<RefusalReason, ErrorText> = {
  unknown_client: {
    status: 400,
    title: 'This app is not known here',
    what: 'The app that sent you here is not registered with this server, or its registration cannot be read.',
    todo: 'Remove this server from the app and add it again; if that does not help, tell the makers of the app.',
  },
  unregistered_redirect_uri: {
    status: 400,
    title: 'This app asked for a wrong address',
    what: 'The answer would go to an address that the app has not registered, so nothing was sent.',
    todo: 'Remove this server from the app and add it again; if that does not help, tell the makers of the app.',
  },
  cross_site: {
    status: 403,
    title: 'This came from another site',
    what: 'The form was not sent from a page of this server, so it was not accepted.',
    todo: startAgain,
  },
  page_ended: {
    status: 403,
    title: 'This page has expired',
    what: 'The page you answered is too old, was answered before, or was opened in another browser.',
    todo: 'Go back to your app and start again; cookies must be allowed for this site.',
  },
  client_changed: {
    status: 403,
    title: 'The app has changed',
    what: 'The app has changed its name or its addresses since you were asked.',
    todo: 'Go back to your app, start again and read the page once more.',
  },
  wrong_browser: {
    status: 403,
    title: 'This sign-in belongs to another browser',
    what: 'It was not started in this browser, or its cookie is gone.',
    todo: 'Go back to your app and start again, and stay in one browser until the end.',
  },
  sign_in_ended: {
    status: 403,
    title: 'This sign-in has ended',
    what: 'It has expired, or it was finished before and need not be done again.',
    todo: 'Go back to your app; if it still asks you to sign in or to connect, start again there.',
  },
  sign_in_used: {
    status: 409,
    title: 'This sign-in has been used already',
    what: 'The same step arrived a second time, and only the first one counts.',
    todo: 'If your app is not signed in, go back to it and start again.',
  },
  wrong_user: {
    status: 403,
    title: 'This link is for someone else',
    what: 'You signed in as a different user than the one the link was made for, so nothing was connected.',
    todo: 'Ask your own app for a link, and sign in with the account you use there.',
  },
  link_ended: {
    status: 403,
    title: 'This link does not work',
    what: 'It has expired, or it is not complete.',
    todo: newLink,
  },
  link_used: {
    status: 403,
    title: 'This link has been used already',
    what: 'Each link works once.',
    todo: newLink,
  },
  sign_out_unknown: {
    status: 400,
    title: 'There is nothing to sign out of here',
    what: 'The request does not say which app to sign out, in a way that this server can still read.',
    todo: 'Sign out in the app itself, or remove this server from it.',
  },
  unregistered_sign_out_uri: {
    status: 400,
    title: 'This app asked for a wrong address',
    what: 'After the sign-out you would be sent to an address that the app has not registered, so nothing was done.',
    todo: 'Sign out in the app itself; if that does not help, tell the makers of the app.',
  },
  busy: {
    status: 503,
    title: 'Too many sign-ins at once',
    what: 'This server cannot begin another sign-in at the moment.',
    todo: 'Wait a minute, then go back to your app and start again.',
  },
}

const tooMany: ErrorText = {
  status: 429,
  title: 'Too many requests',
  what: 'Too much has come from your network or your account in a short time.',
  todo: 'Wait a few minutes, then go back to your app and start again.',
}

/** Seconds a browser is asked to wait when the trouble is ours. */
const retryAfterSeconds = 30

/** The page of a refusal. */
export function refusalPage(place: Place, reason: RefusalReason): Response {
  return errorPage(place, refusals[reason])
}

/** The page of a refusal in OAuth terms: the code and constant description are for the maker of the app. */
export function oauthErrorPage(place: Place, { code, description, status, headers }: OAuthError): Response {
  if (status === 429) return errorPage(place, tooMany, undefined, headers)
  if (status >= 500) return troublePage(place, undefined)
  const text: ErrorText = {
    status,
    title: 'The app asked for something that cannot be done',
    what: 'The app sent a request that this server cannot accept.',
    todo: 'Go back to the app and try again; if that does not help, tell its makers what stands below.',
  }
  return errorPage(place, text, `${code}: ${description}`)
}

/** The page for trouble of our own; it says nothing about the reason (R189). */
export function troublePage(place: Place, error: unknown): Response {
  const isPassing = error === undefined || error instanceof StoreUnavailableError
  return errorPage(place, {
    status: isPassing ? 503 : 500,
    title: 'This did not work',
    what: 'Something went wrong on our side, not on yours.',
    todo: 'Wait a minute, then go back to your app and start again.',
  })
}

function errorPage(
  { serverName, serverHost }: Place,
  text: ErrorText,
  detail?: string,
  more: Readonly<Record<string, string>> = {},
): Response {
  const { status, title, what, todo } = text
  const body = html`<h1>${title}</h1>
<p>${what}</p>
<p>${todo}</p>
${detail !== undefined && html`<p class="soft"><code>${detail}</code></p>`}`
  const headers = { ...(status === 503 && { 'Retry-After': `${retryAfterSeconds}` }), ...more }
  return renderPage({ title, serverName, serverHost, body }, { status, headers })
}
