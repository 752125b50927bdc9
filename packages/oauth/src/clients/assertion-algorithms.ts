/** JWS algorithms a client may sign its assertions with. */
export type AssertionAlgorithm = 'ES256' | 'EdDSA' | 'PS256' | 'RS256'

/** All of them: asymmetric, and nothing else is ever tried (R9, R116). */
export const assertionAlgorithms: readonly [AssertionAlgorithm, ...AssertionAlgorithm[]] = [
  'ES256',
  'EdDSA',
  'PS256',
  'RS256',
]
