import { expect, it } from 'vitest'
import { isIssuerOf } from './issuer.ts'

const server = (...issuers: [string, ...string[]]) => ({ issuers })
const perTenant = server('https://login.example/{tenantid}/v2.0')

it.each([
  [server('https://a.example', 'https://b.example'), 'https://b.example', true],
  [server('https://a.example'), 'https://a.example/', false],
  [perTenant, 'https://login.example/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/v2.0', true],
  [perTenant, 'https://login.example//v2.0', false],
  [perTenant, 'https://login.example/v2.0', false],
  [perTenant, 'https://login.example/a/b/v2.0', false],
  [perTenant, 'https://login.example/a/v2.0/x', false],
  [perTenant, 'https://evil.example/a/v2.0', false],
])('R75: an answer under another issuer is refused: %j, %s → %s', (known, issuer, expected) => {
  expect(isIssuerOf(known, issuer)).toBe(expected)
})
