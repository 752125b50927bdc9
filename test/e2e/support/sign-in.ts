import type { Browser, Page } from '@sallyport/test-upstream/browser'

/** What the user does on the way. */
export interface SignInPlan {
  /** `sub` of the account chosen at the upstream. Default: the one preselected. */
  account?: string
  /** Name typed on the development sign-in page. Default `alice`. */
  name?: string
  /** Called with each page before it is answered. */
  onPage?: (page: Page) => void | Promise<void>
}

/** Words on a button that say yes, in any of the pages (CONFORMANCE: allow, approve, authorize, accept, …). */
const yes = /^(allow|approve|authorize|accept|continue|sign in)\b/i

/** Opens an authorization URL and agrees to every page until there is none left to answer. */
export async function passSignIn(browser: Browser, url: string | URL, plan: SignInPlan = {}): Promise<Page> {
  let page = await browser.open(url)
  for (let pages = 0; pages < 8; pages++) {
    if (page.status === 0 || page.root.querySelector('form') === null) return page
    await plan.onPage?.(page)
    const fields: Record<string, string> = {}
    if (page.root.querySelector('input[name=account]') && plan.account) fields.account = plan.account
    if (page.root.querySelector('input[name=name]')) fields.name = plan.name ?? 'alice'
    page = await browser.submit(page, yes, fields)
  }
  throw new Error(`sign-in does not end: ${page.url.origin}${page.url.pathname}`)
}
