import { expect, it } from 'vitest'
import * as surface from './index.ts'

it('what the package exports is a promise: a new name is added here on purpose', () => {
  expect(Object.keys(surface).sort()).toEqual([
    'github',
    'google',
    'googleAuth',
    'linkedin',
    'microsoft',
    'notion',
    'oauth2',
    'octokitAuth',
    'oidc',
    'registerGoogleSecurityEvents',
    'slack',
  ])
})
