import type { UpstreamServer } from './upstream-server.ts'

/** What stands for the tenant in issuers of Microsoft. */
export const tenantPlaceholder = '{tenantid}'

/**
 * Whether the `iss` of an authorization response is this provider (RFC 9207 §2.4). Of an issuer per tenant any tenant
 * will do here: which one it is, only the id_token can prove.
 */
export function isIssuerOf({ issuers }: Pick<UpstreamServer, 'issuers'>, issuer: string): boolean {
  return issuers.some(known => {
    const [before = '', after] = known.split(tenantPlaceholder)
    if (after === undefined) return issuer === known
    const tenant = issuer.slice(before.length, issuer.length - after.length)
    return issuer === before + tenant + after && /^[\w-]+$/.test(tenant)
  })
}

/** Whether one of these is meant: Google ends its name with a slash in security event tokens, and in no others. */
export function isNamedAs(issuers: readonly string[], issuer: string): boolean {
  return issuers.includes(issuer.replace(/\/$/, ''))
}
