import { ConfigurationError } from './errors.ts'
import type { LoginResult, PageLogin, PageLoginRequest } from './login.ts'
import { html } from './pages/html.ts'
import { renderPage } from './pages/page.ts'

const id = 'development'

/** No URL of anybody's: identities of the development sign-in meet no other issuer's. */
const identityIssuer = 'urn:sallyport:development'
const maxNameLength = 64

/**
 * A sign-in for trying things out: a name, no password. Whoever can open the page can be anybody, so it is for this
 * machine only; see `assertDevelopmentSignInAllowed`. The same name, whatever its case, is the same user.
 */
export function developmentSignIn(): PageLogin {
  return {
    kind: 'page',
    id,
    label: 'the development sign-in',
    // Its page asks each time, for whatever name.
    prompts: ['login', 'select_account'],
    async handle(request) {
      if (!request.form) return page(request)
      const entered = request.form.get('name') ?? ''
      const name = normalise(entered)
      return name === undefined ? page(request, entered) : result(name)
    },
  }
}

/**
 * Refuses the development sign-in anywhere but on http(s)://localhost, 127.0.0.1 or [::1].
 *
 * @throws {ConfigurationError}
 */
export function assertDevelopmentSignInAllowed(issuer: string): void {
  if (!/^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(new URL(issuer).hostname)) {
    throw new ConfigurationError(
      'The development sign-in asks for no password and works on localhost only: set another signIn, or PUBLIC_URL to http://localhost.',
    )
  }
}

/** Whether this is the sign-in without a password. */
export function isDevelopmentSignIn(login: { id: string }): boolean {
  return login.id === id
}

const result = (name: string): LoginResult => ({ issuer: identityIssuer, subject: name.toLowerCase(), name })

/** The name as one line in one Unicode form; undefined when nothing is left, or what is there is no name. */
function normalise(entered: string): string | undefined {
  const name = entered.normalize('NFKC').replace(/\s+/gu, ' ').trim()
  return name === '' || [...name].length > maxNameLength || /\p{C}/u.test(name) ? undefined : name
}

function page({ url, serverName }: PageLoginRequest, refused?: string): Response {
  const body = html`<h1>Who are you today?</h1>
<p class="soft">Any name will do. The same name is the same user.</p>
<p class="warning"><strong>For development only</strong> There is no password: anyone who can open this page can sign
in as anyone. It works on this computer only.</p>
<form method="post" action="${url}">
<label for="name">Name</label>
<input type="text" id="name" name="name" value="${refused ?? ''}" required maxlength="${maxNameLength}" autocomplete="username" autocapitalize="none" spellcheck="false" autofocus${
    refused !== undefined && html` aria-invalid="true" aria-describedby="problem"`
  }>
${refused !== undefined && html`<p id="problem" role="alert" class="small">Enter a name of 1 to ${maxNameLength} ordinary characters.</p>`}
<div class="actions"><button class="primary" type="submit">Sign in</button></div>
</form>`
  return renderPage(
    { title: 'Development sign-in', serverName, serverHost: new URL(url).host, body },
    { status: refused === undefined ? 200 : 400 },
  )
}
