/** JWS algorithms access tokens can be signed with. */
export type SigningAlgorithm = 'ES256' | 'RS256' | 'PS256' | 'EdDSA'
