import { PageRefusal } from '../pages/refusal.ts'

/**
 * Refuses a form that was not sent from a page of ours (R65). `Sec-Fetch-Site` decides where the browser sends it.
 * Otherwise a foreign `Origin` is refused; `null` is what our own pages send under `Referrer-Policy: no-referrer`,
 * and scripts send none. A sealed field that opens with the browser's cookie alone stands behind this check.
 *
 * @throws {PageRefusal} `cross_site`
 */
export function assertSameOrigin({ issuer }: { issuer: string }, { headers }: Request): void {
  const site = headers.get('Sec-Fetch-Site')
  const origin = headers.get('Origin')
  const isOurs =
    site !== null
      ? site === 'same-origin'
      : origin === null || origin === 'null' || origin === new URL(issuer).origin
  if (!isOurs) throw new PageRefusal('cross_site')
}
