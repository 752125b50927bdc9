/** A signed assertion of an issuer we trust, as an authorization grant (RFC 7523 §2.1). */
export const jwtBearerGrantType = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

/** The one profile of such assertions that we take (draft-ietf-oauth-identity-assertion-authz-grant §7). */
export const idJagProfile = 'urn:ietf:params:oauth:grant-profile:id-jag'
