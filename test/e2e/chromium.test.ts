import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { accounts } from '@sallyport/test-upstream'
import * as oauth from 'oauth4webapi'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { launchChromium } from './support/chromium.ts'
import { callTool, linkIn } from './support/mcp-request.ts'
import { createRawClient } from './support/raw-client.ts'
import { type Sallyport, startSallyport } from './support/sallyport.ts'

let browser: Browser
let callbackServer: Server
let redirectUri: string
let screenshots: string
const servers = new Map<'upstream' | 'development', Sallyport>()

beforeAll(async () => {
  browser = await launchChromium()
  screenshots = await mkdtemp(join(tmpdir(), 'sallyport-screenshots-'))
  callbackServer = createServer((_, response) => {
    response.setHeader('content-type', 'text/html')
    response.end('<title>Client</title><p>Back at the client.</p>')
  }).listen(0, '127.0.0.1')
  await once(callbackServer, 'listening')
  redirectUri = `http://127.0.0.1:${(callbackServer.address() as AddressInfo).port}/callback`
  for (const signIn of ['upstream', 'development'] as const)
    servers.set(signIn, await startSallyport({ signIn }))
})
afterAll(async () => {
  await browser.close()
  callbackServer.close()
  await Promise.all([...servers.values()].map(server => server.close()))
  await rm(screenshots, { recursive: true })
})

function serverWith(signIn: 'upstream' | 'development'): Sallyport {
  const server = servers.get(signIn)
  if (server === undefined) throw new Error('not started')
  return server
}

async function authorizationUrl(origin: string, parameters: Record<string, string> = {}): Promise<string> {
  const registered = await fetch(`${origin}/oauth/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client_name: 'Browser test', redirect_uris: [redirectUri] }),
  })
  const { client_id } = (await registered.json()) as { client_id: string }
  const url = new URL(`${origin}/oauth/authorize`)
  url.search = new URLSearchParams({
    client_id,
    redirect_uri: redirectUri,
    response_type: 'code',
    code_challenge: await oauth.calculatePKCECodeChallenge(oauth.generateRandomCodeVerifier()),
    code_challenge_method: 'S256',
    state: 'state-of-the-browser-test',
    resource: `${origin}/mcp`,
    ...parameters,
  }).toString()
  return url.href
}

/** Runs in the page, where there is a DOM. */
const pageFacts = `({
  overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  title: document.title,
  language: document.documentElement.lang,
  headings: document.querySelectorAll('h1').length,
  scripts: document.scripts.length,
  unlabelled: [...document.querySelectorAll('input:not([type=hidden])')].filter(
    input => !input.labels.length && !input.ariaLabel,
  ).length,
  foreign: performance
    .getEntriesByType('resource')
    .filter(({ name }) => new URL(name).origin !== location.origin).length,
})`

/** What a page must be for everybody: not wider than the window, named, in a language, with labelled fields. */
async function inspectPage(page: Page, name: string): Promise<void> {
  const path = join(screenshots, `${name}.png`)
  await page.screenshot({ path, fullPage: true })
  expect((await stat(path)).size).toBeGreaterThan(1000)
  const facts = await page.evaluate(pageFacts)
  expect(facts).toEqual({
    overflow: 0,
    title: expect.stringMatching(/\S/),
    language: 'en',
    headings: 1,
    scripts: 0,
    unlabelled: 0,
    foreign: 0,
  })
}

const windows: { title: string; options: BrowserContextOptions }[] = [
  { title: 'wide and light', options: { viewport: { width: 1280, height: 800 }, colorScheme: 'light' } },
  { title: 'narrow and dark', options: { viewport: { width: 320, height: 640 }, colorScheme: 'dark' } },
]

async function inWindow<T>(
  options: BrowserContextOptions,
  run: (page: Page, problems: string[]) => Promise<T>,
): Promise<T> {
  const context = await browser.newContext({ ...options, javaScriptEnabled: false })
  try {
    const page = await context.newPage()
    const problems: string[] = []
    page.on('console', message => {
      if (message.type() === 'error') problems.push(`${message.text()} ${message.location().url}`)
    })
    page.on('requestfailed', request => problems.push(`${request.method()} ${request.url()}`))
    return await run(page, problems)
  } finally {
    await context.close()
  }
}

const yes = (page: Page) => page.getByRole('button', { name: /^(allow|approve|continue|sign in)/i })

describe.each(windows)('in a window that is $title', ({ title, options }) => {
  const name = (page: string) => `${title} ${page}`.replaceAll(' ', '-')

  it('a user signs in at the provider without any script, and comes back to the client', async () => {
    const { origin, upstream } = serverWith('upstream')
    await inWindow(options, async (page, problems) => {
      await page.goto(await authorizationUrl(origin))
      await inspectPage(page, name('consent'))
      expect(await page.textContent('body')).toContain('Browser test')
      await yes(page).click()
      await page.waitForURL(url => url.origin === upstream.origin)
      await yes(page).click()
      await page.waitForURL(url => url.href.startsWith(redirectUri))
      const { searchParams } = new URL(page.url())
      expect(searchParams.get('state')).toBe('state-of-the-browser-test')
      expect(searchParams.get('iss')).toBe(origin)
      expect(searchParams.get('code')).toMatch(/\S/)
      expect(problems).toEqual([])
    })
  })

  it('a user signs in on the development page with the keyboard alone', async () => {
    const { origin, upstream } = serverWith('development')
    await inWindow(options, async (page, problems) => {
      await page.goto(await authorizationUrl(origin))
      await yes(page).focus()
      await page.keyboard.press('Enter')
      await page.waitForURL(url => url.pathname === '/oauth/callback/development')
      await inspectPage(page, name('development-sign-in'))
      await page.getByRole('textbox').first().focus()
      // A user of their own, or the provider is connected already and need not be asked.
      await page.keyboard.type(name('user'))
      await page.keyboard.press('Enter')
      await page.waitForURL(url => url.origin === upstream.origin)
      await yes(page).click()
      await page.waitForURL(url => url.href.startsWith(redirectUri))
      expect(new URL(page.url()).searchParams.get('code')).toMatch(/\S/)
      expect(problems).toEqual([])
    })
  })

  it('R72: a user sees on the account page who has access, ends it, and signs out', async () => {
    const { origin, upstream } = serverWith('development')
    const user = name('account')
    const signIn = async (page: Page) => {
      await page.getByRole('textbox').first().fill(user)
      await page.keyboard.press('Enter')
    }
    await inWindow(options, async (page, problems) => {
      await page.goto(await authorizationUrl(origin))
      await yes(page).click()
      await signIn(page)
      await page.waitForURL(url => url.origin === upstream.origin)
      await yes(page).click()
      await page.waitForURL(url => url.href.startsWith(redirectUri))

      await page.goto(`${origin}/account`)
      await inspectPage(page, name('account-sign-in'))
      await yes(page).click()
      await signIn(page)
      await page.waitForURL(`${origin}/account`)
      await inspectPage(page, name('account'))
      await page.getByRole('button', { name: `Disconnect ${accounts[0].email}` }).click()
      await page.getByRole('button', { name: 'End access of Browser test' }).focus()
      await page.keyboard.press('Enter')
      await page.getByText('None.').nth(1).waitFor()
      await inspectPage(page, name('account-empty'))
      await page.getByRole('button', { name: 'Sign out of this page' }).click()
      await page.getByRole('button', { name: /^Sign in/ }).waitFor()
      expect(problems).toEqual([])
    })
  })

  it('a user who declines comes back to the client with access_denied', async () => {
    const { origin } = serverWith('upstream')
    await inWindow(options, async (page, problems) => {
      await page.goto(await authorizationUrl(origin))
      await page.getByRole('button', { name: /^(deny|decline|cancel|refuse)/i }).click()
      await page.waitForURL(url => url.href.startsWith(redirectUri))
      const { searchParams } = new URL(page.url())
      expect(Object.fromEntries(searchParams)).toMatchObject({
        error: 'access_denied',
        state: 'state-of-the-browser-test',
        iss: origin,
      })
      expect(problems).toEqual([])
    })
  })

  it('a user whose connection has ended connects again by the link of the tool', async () => {
    const { mcpUrl, upstream } = serverWith('upstream')
    const client = await createRawClient(mcpUrl)
    const { access_token: token } = await client.signIn()
    const call = async () => (await callTool(mcpUrl, 'my-profile', {}, { token })).text()
    upstream.control.revokeGrant(accounts[0].sub)
    const link = linkIn(await call())
    await inWindow(options, async (page, problems) => {
      await page.goto(link)
      await inspectPage(page, name('connect'))
      await yes(page).click()
      await page.waitForURL(url => url.origin === upstream.origin)
      await yes(page).click()
      await page.waitForURL(url => url.origin !== upstream.origin)
      await inspectPage(page, name('connected'))
      expect(problems).toEqual([])
    })
    expect(await call()).toContain(accounts[0].name)
  })

  it('a user with a link that cannot work reads why, and is sent nowhere', async () => {
    const { origin } = serverWith('upstream')
    await inWindow(options, async page => {
      const url = await authorizationUrl(origin, { redirect_uri: `${redirectUri}/other` })
      const answer = await page.goto(url)
      expect(answer?.status()).toBe(400)
      expect(page.url()).toBe(url)
      await inspectPage(page, name('error'))
    })
  })
})

describe('Chromium', () => {
  it('R49: sends the consent form to us alone: the client sees a GET', async () => {
    const { origin } = serverWith('upstream')
    const methods: string[] = []
    callbackServer.on('request', request => methods.push(request.method ?? ''))
    await inWindow({}, async page => {
      await page.goto(await authorizationUrl(origin))
      await page.getByRole('button', { name: /^(deny|decline|cancel|refuse)/i }).click()
      await page.waitForURL(url => url.href.startsWith(redirectUri))
    })
    expect(new Set(methods)).toEqual(new Set(['GET']))
  })

  it('R50: does not show the consent page in a frame', async () => {
    const { origin } = serverWith('upstream')
    const url = await authorizationUrl(origin)
    await inWindow({}, async page => {
      await page.goto(redirectUri)
      await page.setContent(`<iframe src="${url.replaceAll('&', '&amp;')}"></iframe>`)
      await page.waitForLoadState('networkidle')
      const [, frame] = page.frames()
      expect(await frame?.locator('form').count()).toBe(0)
    })
  })
})
